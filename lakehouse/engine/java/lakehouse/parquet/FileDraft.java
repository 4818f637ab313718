package lakehouse.parquet;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.bytes.HeapByteBufferAllocator;
import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.column.ParquetProperties;
import org.apache.parquet.column.page.PageWriter;
import org.apache.parquet.hadoop.ColumnChunkPageWriteStore;
import org.apache.parquet.hadoop.ParquetFileWriter;
import org.apache.parquet.hadoop.ParquetOutputFormat;
import org.apache.parquet.hadoop.util.HadoopOutputFile;
import org.apache.spark.sql.catalyst.InternalRow;

/** Rows that will be one file of one row group; until then their pages, compressed, are in memory. */
final class FileDraft {
  private static final int MOST_INDEXED_BYTES = ParquetProperties.DEFAULT_COLUMN_INDEX_TRUNCATE_LENGTH;

  private final Layout layout;
  private final Configuration conf;
  private final ColumnChunkPageWriteStore pages;
  private final List<Leaf> leaves = new ArrayList<>();
  private final Shape[] shapes;
  private long count;

  FileDraft(Layout layout) {
    this.layout = layout;
    conf = layout.conf();
    pages =
        new ColumnChunkPageWriteStore(
            layout.compressor(), layout.schema(), new HeapByteBufferAllocator(), MOST_INDEXED_BYTES);
    shapes = layout.shapes(this::leaf);
  }

  void add(InternalRow row) {
    for (int i = 0; i < shapes.length; i++) {
      shapes[i].add(row, layout.place(i), 0, 0);
    }
    count++;
  }

  /** About how many bytes are in memory. */
  long memory() {
    return leaves.stream().mapToLong(Leaf::memory).sum();
  }

  /** Write the file, whose name must be new. */
  void write(Path path) throws IOException {
    ParquetFileWriter file =
        new ParquetFileWriter(
            HadoopOutputFile.fromPath(path, conf),
            layout.schema(),
            ParquetFileWriter.Mode.CREATE,
            Long.MAX_VALUE,
            0,
            MOST_INDEXED_BYTES,
            ParquetProperties.DEFAULT_STATISTICS_TRUNCATE_LENGTH,
            ParquetProperties.DEFAULT_PAGE_WRITE_CHECKSUM_ENABLED);
    file.start();
    if (count > 0) {
      file.startBlock(count);
      for (Leaf leaf : leaves) {
        leaf.end();
      }
      pages.flushToFileWriter(file);
      file.endBlock();
    }
    file.end(layout.notes());
  }

  private Leaf leaf(ColumnDescriptor column) {
    String name = String.join(".", column.getPath());
    boolean byDefault = ParquetOutputFormat.getEnableDictionary(conf);
    boolean hasDictionary = conf.getBoolean(ParquetOutputFormat.ENABLE_DICTIONARY + "#" + name, byDefault);
    boolean hasStatistics = ParquetOutputFormat.getStatisticsEnabled(conf, name);
    PageWriter writer = pages.getPageWriter(column);
    Leaf leaf =
        switch (column.getPrimitiveType().getPrimitiveTypeName()) {
          case INT32 -> new NumberLeaf(column, writer, hasStatistics, false, hasDictionary);
          case INT64 -> new NumberLeaf(column, writer, hasStatistics, true, hasDictionary);
          case BINARY -> new TextLeaf(column, writer, hasStatistics, true, hasDictionary);
          case FIXED_LEN_BYTE_ARRAY -> new TextLeaf(column, writer, hasStatistics, false, hasDictionary);
          case FLOAT, DOUBLE, BOOLEAN -> new PlainLeaf(column, writer, hasStatistics);
          case INT96 -> throw new UnsupportedOperationException("INT96 is a type of old, which is not written here");
        };
    leaves.add(leaf);
    return leaf;
  }
}
