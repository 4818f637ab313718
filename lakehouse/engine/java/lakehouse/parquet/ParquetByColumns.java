package lakehouse.parquet;

import java.util.Arrays;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.mapreduce.Job;
import org.apache.hadoop.mapreduce.TaskAttemptContext;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.execution.datasources.OutputWriter;
import org.apache.spark.sql.execution.datasources.OutputWriterFactory;
import org.apache.spark.sql.execution.datasources.parquet.ParquetFileFormat;
import org.apache.spark.sql.internal.SQLConf;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import scala.collection.immutable.Map;

/**
 * A format for Spark's {@code write}: the same Parquet files as of its own, in half the time.
 *
 * <p>Spark's own writer gives each value of a row to Parquet's general one, through a dozen calls, and looks up in three
 * maps where a row of a partitioned table goes. Here a row's values go straight to the pages of their columns. What
 * these hold is compressed, put into files and described by Parquet's own library.
 *
 * <p>Partition columns are texts, which the option {@code lakehouse.partitions} names, with commas; {@code partitionBy}
 * is not used. Reading is Spark's.
 */
public final class ParquetByColumns extends ParquetFileFormat {
  private static final String PARTITIONS = "lakehouse.partitions";

  @Override
  public String shortName() {
    return "lakehouse-parquet";
  }

  @Override
  public OutputWriterFactory prepareWrite(
      SparkSession session, Job job, Map<String, String> options, StructType columns) {
    Configuration conf = job.getConfiguration();
    List<String> partitions = List.of(conf.getTrimmedStrings(PARTITIONS));
    StructField[] kept =
        Arrays.stream(columns.fields()).filter(field -> !partitions.contains(field.name())).toArray(StructField[]::new);
    OutputWriterFactory sparks = super.prepareWrite(session, job, options, new StructType(kept));
    // Whatever the session says: only this layout is written.
    conf.setBoolean(SQLConf.PARQUET_WRITE_LEGACY_FORMAT().key(), false);
    conf.set(SQLConf.PARQUET_OUTPUT_TIMESTAMP_TYPE().key(), "TIMESTAMP_MICROS");
    return new Factory(sparks, partitions);
  }

  private static final class Factory extends OutputWriterFactory {
    private static final long serialVersionUID = 1;

    private final OutputWriterFactory sparks;
    private final List<String> partitions;

    Factory(OutputWriterFactory sparks, List<String> partitions) {
      this.sparks = sparks;
      this.partitions = partitions;
    }

    @Override
    public String getFileExtension(TaskAttemptContext context) {
      return sparks.getFileExtension(context);
    }

    @Override
    public OutputWriter newInstance(String path, StructType columns, TaskAttemptContext context) {
      return new PartitionedFiles(path, columns, partitions, context.getConfiguration());
    }
  }
}
