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
import org.apache.spark.sql.catalyst.expressions.UnsafeRow;

/**
 * Rows that will be one file of one row group; until then they are in memory: a few as they came, because columns of a
 * few rows take more room than the rows, then as pages, compressed.
 */
final class FileDraft {
  private static final int MOST_INDEXED_BYTES = ParquetProperties.DEFAULT_COLUMN_INDEX_TRUNCATE_LENGTH;

  private static final int FEW_ROWS = 64;
  /** What a column takes besides its values, about; and a row, when nothing is known of it. */
  private static final int USUAL_BYTES = 1_000;

  private final Layout layout;
  private final Configuration conf;
  private final List<Leaf> leaves = new ArrayList<>();
  /** Null once there are columns. */
  private List<InternalRow> waiting = new ArrayList<>();
  private long waitingBytes;
  private ColumnChunkPageWriteStore pages;
  private Shape[] shapes;
  private long count;

  FileDraft(Layout layout) {
    this.layout = layout;
    conf = layout.conf();
  }

  void add(InternalRow row) {
    if (waiting == null) {
      addToColumns(row);
      return;
    }
    waiting.add(row.copy());
    waitingBytes += bytesOf(row);
    if (waiting.size() == FEW_ROWS || waitingBytes >= Leaf.PAGE_BYTES) {
      beginColumns();
    }
  }

  private void beginColumns() {
    pages =
        new ColumnChunkPageWriteStore(
            layout.compressor(), layout.schema(), new HeapByteBufferAllocator(), MOST_INDEXED_BYTES);
    shapes = layout.shapes(this::leaf);
    waiting.forEach(this::addToColumns);
    waiting = null;
    waitingBytes = 0;
  }

  private void addToColumns(InternalRow row) {
    for (int i = 0; i < shapes.length; i++) {
      shapes[i].add(row, layout.place(i), 0, 0);
    }
    count++;
  }

  /** The bytes of a row, about. */
  static long bytesOf(InternalRow row) {
    return row instanceof UnsafeRow unsafe ? unsafe.getSizeInBytes() : USUAL_BYTES;
  }

  /** About how many bytes are in memory. */
  long memory() {
    return waitingBytes + leaves.stream().mapToLong(leaf -> leaf.memory() + USUAL_BYTES).sum();
  }

  /** Write the file, whose name must be new. */
  void write(Path path) throws IOException {
    if (waiting != null) {
      beginColumns();
    }
    // Closed also when it fails: a file that is open keeps its room on a full disk.
    try (ParquetFileWriter file =
        new ParquetFileWriter(
            HadoopOutputFile.fromPath(path, conf),
            layout.schema(),
            ParquetFileWriter.Mode.CREATE,
            Long.MAX_VALUE,
            0,
            MOST_INDEXED_BYTES,
            ParquetProperties.DEFAULT_STATISTICS_TRUNCATE_LENGTH,
            ParquetProperties.DEFAULT_PAGE_WRITE_CHECKSUM_ENABLED)) {
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
