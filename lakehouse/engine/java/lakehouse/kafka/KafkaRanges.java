package lakehouse.kafka;

import java.util.Map;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.connector.catalog.TableProvider;
import org.apache.spark.sql.connector.expressions.Transform;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/**
 * A source for Spark's {@code read}: ranges of offsets of a topic, whose ends are known.
 *
 * <p>Spark's own source asks the brokers about each read once more, on connections made for it, and copies a record four
 * times on its way into a row. Here nothing is asked, and consumers wait for the next read of the same reader.
 *
 * <p>Options: {@code topic}; {@code ranges}, as {@code partition:start:end,…}, the end being the first offset that is not
 * read; {@code reader}, whose reads may go on with each other's consumers; {@code kafka.*}, of the consumers; {@code
 * keep.seconds}, how long a consumer waits for its next read; {@code answer.seconds}, after how long without a record a
 * read fails.
 */
public final class KafkaRanges implements TableProvider {
  @Override
  public StructType inferSchema(CaseInsensitiveStringMap options) {
    return RecordRow.COLUMNS;
  }

  @Override
  public Table getTable(StructType columns, Transform[] partitioning, Map<String, String> options) {
    return new RangesTable(options);
  }
}
