package lakehouse.kafka;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.apache.kafka.common.TopicPartition;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.connector.catalog.SupportsRead;
import org.apache.spark.sql.connector.catalog.TableCapability;
import org.apache.spark.sql.connector.read.Batch;
import org.apache.spark.sql.connector.read.InputPartition;
import org.apache.spark.sql.connector.read.PartitionReader;
import org.apache.spark.sql.connector.read.PartitionReaderFactory;
import org.apache.spark.sql.connector.read.Scan;
import org.apache.spark.sql.connector.read.ScanBuilder;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/** What one read asks for, as Spark plans it: a task for each range. */
final class RangesTable implements SupportsRead, Scan, Batch {
  private static final String OF_CONSUMERS = "kafka.";
  /** One that waits holds what it fetched ahead, megabytes for each partition. */
  private static final String KEEP_SECONDS = "20";
  private static final String ANSWER_SECONDS = "120";

  private final String topic;
  private final String ranges;
  private final Readers readers;

  RangesTable(Map<String, String> options) {
    topic = options.get("topic");
    ranges = options.get("ranges");
    HashMap<String, String> settings = new HashMap<>();
    options.forEach(
        (name, value) -> {
          if (name.startsWith(OF_CONSUMERS)) {
            settings.put(name.substring(OF_CONSUMERS.length()), value);
          }
        });
    Duration keep = seconds(options.getOrDefault("keep.seconds", KEEP_SECONDS));
    Duration answer = seconds(options.getOrDefault("answer.seconds", ANSWER_SECONDS));
    readers = new Readers(new Owner(options.get("reader"), settings, keep, answer));
  }

  private static Duration seconds(String text) {
    return Duration.ofSeconds(Long.parseLong(text));
  }

  @Override
  public String name() {
    return "records of " + topic;
  }

  /** Plans are logged and shown, so it tells the offsets and none of the settings. */
  @Override
  public String description() {
    return name() + " " + ranges;
  }

  @Override
  @SuppressWarnings("deprecation") // Spark's own way to ask for columns is optional, this one is not.
  public StructType schema() {
    return RecordRow.COLUMNS;
  }

  @Override
  public Set<TableCapability> capabilities() {
    return Set.of(TableCapability.BATCH_READ);
  }

  @Override
  public ScanBuilder newScanBuilder(CaseInsensitiveStringMap options) {
    return () -> this;
  }

  @Override
  public StructType readSchema() {
    return RecordRow.COLUMNS;
  }

  @Override
  public Batch toBatch() {
    return this;
  }

  @Override
  public InputPartition[] planInputPartitions() {
    return Stream.of(ranges.split(",")).map(this::range).toArray(InputPartition[]::new);
  }

  private Range range(String text) {
    String[] parts = text.split(":");
    TopicPartition partition = new TopicPartition(topic, Integer.parseInt(parts[0]));
    return new Range(partition, Long.parseLong(parts[1]), Long.parseLong(parts[2]));
  }

  @Override
  public PartitionReaderFactory createReaderFactory() {
    return readers;
  }

  /** The records of a partition from {@code start} to before {@code end}. */
  record Range(TopicPartition partition, long start, long end) implements InputPartition {}

  /** What goes to the executors. */
  private record Readers(Owner owner) implements PartitionReaderFactory {
    @Override
    public PartitionReader<InternalRow> createReader(InputPartition partition) {
      return new RangeReader((Range) partition, owner);
    }
  }
}
