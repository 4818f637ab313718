package lakehouse.kafka;

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A consumer of one partition, and what it has fetched.
 *
 * <p>It is in no group, commits nothing, and never chooses an offset itself: one that is not there any more fails the
 * read. Kafka hands out records in the order of their offsets and begins where it was told to, so an offset that is
 * passed over was no record: the marker of a transaction, one that was aborted, or one that compaction removed.
 */
final class PartitionConsumer {
  private static final Map<String, Object> ALWAYS =
      Map.of(
          ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "none",
          ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false,
          ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, false);

  private final TopicPartition partition;
  private final Duration patience;
  private final KafkaConsumer<byte[], byte[]> consumer;
  private List<ConsumerRecord<byte[], byte[]>> fetched = List.of();
  /** How many of these were taken. */
  private int taken;
  /** All records before this offset were taken. */
  private long position = -1;
  /** Where the broker is asked next. */
  private long fetchedTo;
  private boolean isSound = true;

  PartitionConsumer(TopicPartition partition, Owner owner) {
    this.partition = partition;
    patience = owner.answer();
    Map<String, Object> settings = new HashMap<>(owner.settings());
    settings.putAll(ALWAYS);
    consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    consumer.assign(List.of(partition));
  }

  TopicPartition partition() {
    return partition;
  }

  /** Whether it can be used again: it did not fail. */
  boolean isSound() {
    return isSound;
  }

  /** Whether what it has fetched goes on from this offset. */
  boolean isAt(long offset) {
    return offset == position;
  }

  void goTo(long offset) {
    if (!isAt(offset)) {
      consumer.seek(partition, offset);
      fetched = List.of();
      taken = 0;
      position = offset;
    }
  }

  /** The next record before an offset, or null when there is none left. */
  ConsumerRecord<byte[], byte[]> next(long end) {
    while (taken == fetched.size()) {
      if (position >= end) {
        return null;
      }
      fetch();
    }
    ConsumerRecord<byte[], byte[]> record = fetched.get(taken);
    if (record.offset() >= end) {
      position = end;
      return null;
    }
    taken++;
    position = taken == fetched.size() ? fetchedTo : record.offset() + 1;
    return record;
  }

  private void fetch() {
    isSound = false;
    fetched = consumer.poll(patience).records(partition);
    taken = 0;
    fetchedTo = consumer.position(partition);
    if (fetched.isEmpty()) {
      if (fetchedTo == position) {
        throw new TimeoutException("no record of " + partition + " from offset " + position + " on in " + patience);
      }
      position = fetchedTo;
    }
    isSound = true;
  }

  void close() {
    consumer.close(Duration.ZERO);
  }
}
