package lakehouse.kafka;

import java.io.Serializable;
import java.time.Duration;
import java.util.HashMap;

/**
 * Who reads, and how: others never get its consumers.
 *
 * @param reader its name
 * @param settings of the consumers, as Kafka calls them
 * @param keep how long a consumer waits for its next read
 * @param answer after how long without a record a read fails
 */
record Owner(String reader, HashMap<String, String> settings, Duration keep, Duration answer) implements Serializable {
  /** Without the settings: some are secrets. */
  @Override
  public String toString() {
    return reader;
  }
}
