package lakehouse.kafka;

import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.connector.read.PartitionReader;

/** The rows of one range. */
final class RangeReader implements PartitionReader<InternalRow> {
  private final long end;
  private final Owner owner;
  private final PartitionConsumer consumer;
  private final RecordRow row = new RecordRow();
  private InternalRow current;

  RangeReader(RangesTable.Range range, Owner owner) {
    end = range.end();
    this.owner = owner;
    consumer = Consumers.take(owner, range.partition(), range.start());
  }

  @Override
  public boolean next() {
    ConsumerRecord<byte[], byte[]> record = consumer.next(end);
    if (record == null) {
      return false;
    }
    current = row.of(record);
    return true;
  }

  @Override
  public InternalRow get() {
    return current;
  }

  @Override
  public void close() {
    Consumers.giveBack(owner, consumer);
  }
}
