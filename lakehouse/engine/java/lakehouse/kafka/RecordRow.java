package lakehouse.kafka;

import java.util.Arrays;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.expressions.SpecificInternalRow;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.catalyst.util.GenericArrayData;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.types.UTF8String;

/** A record as a row: the columns of Spark's own Kafka source, without the topic. */
final class RecordRow {
  private static final StructType HEADER =
      new StructType().add("key", DataTypes.StringType).add("value", DataTypes.BinaryType);

  static final StructType COLUMNS =
      new StructType()
          .add("partition", DataTypes.IntegerType)
          .add("offset", DataTypes.LongType)
          .add("timestamp", DataTypes.TimestampType)
          .add("timestampType", DataTypes.IntegerType)
          .add("key", DataTypes.BinaryType)
          .add("value", DataTypes.BinaryType)
          .add("headers", DataTypes.createArrayType(HEADER));

  private static final long MICROSECONDS = 1_000;

  /** One for all records: whoever gets it copies what it needs. */
  private final SpecificInternalRow row = new SpecificInternalRow(COLUMNS);

  InternalRow of(ConsumerRecord<byte[], byte[]> record) {
    row.setInt(0, record.partition());
    row.setLong(1, record.offset());
    row.setLong(2, record.timestamp() * MICROSECONDS);
    row.setInt(3, record.timestampType().id);
    row.update(4, record.key());
    row.update(5, record.value());
    row.update(6, headers(record.headers().toArray()));
    return row;
  }

  /** A record without headers has null, not an empty list. */
  private static ArrayData headers(Header[] headers) {
    return headers.length == 0
        ? null
        : new GenericArrayData(Arrays.stream(headers).map(RecordRow::header).toArray());
  }

  private static InternalRow header(Header header) {
    return new GenericInternalRow(new Object[] {UTF8String.fromString(header.key()), header.value()});
  }
}
