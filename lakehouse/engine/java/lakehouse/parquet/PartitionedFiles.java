package lakehouse.parquet;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.hadoop.ParquetOutputFormat;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.catalog.ExternalCatalogUtils;
import org.apache.spark.sql.catalyst.expressions.UnsafeRow;
import org.apache.spark.sql.execution.datasources.OutputWriter;
import org.apache.spark.sql.types.StructType;

/**
 * The rows of one task, in a file for each set of partition values, within folders named after these.
 *
 * <p>Memory is bounded: when all files together have grown to a row group's size (Parquet's setting), they are written,
 * and the rows that follow begin new ones. None is open before.
 */
final class PartitionedFiles extends OutputWriter {
  private static final int ROWS_BETWEEN_LOOKS = 1_000;
  /** How often memory is looked at, at least, while it fills. */
  private static final int LOOKS = 8;

  private final Path path;
  /** Spark asks for it with each row. */
  private final String pathText;
  private final Layout layout;
  private final List<String> partitions;
  private final int[] places;
  private final long mostBytes;
  private final Map<List<String>, FileDraft> drafts = new HashMap<>();
  /** The partition of the last row, null before the first one; most rows come in runs of one partition. */
  private FileDraft current;
  /** Its values, as bytes of UTF-8. */
  private final byte[][] values;
  /** Added since memory was looked at. */
  private long unseenRows;
  private long unseenBytes;
  private int written;
  private boolean isClosed;

  PartitionedFiles(String path, StructType columns, List<String> partitions, Configuration conf) {
    this.path = new Path(path);
    pathText = this.path.toString();
    this.partitions = partitions;
    layout = new Layout(columns, partitions, conf);
    places = partitions.stream().mapToInt(columns::fieldIndex).toArray();
    values = new byte[places.length][];
    mostBytes = ParquetOutputFormat.getLongBlockSize(conf);
    if (places.length == 0) {
      // A table has at least one file, and be it empty, as Spark has it.
      drafts.put(List.of(), new FileDraft(layout));
    }
  }

  @Override
  public void write(InternalRow row) {
    if (current == null || !isOfCurrent(row)) {
      current = draft(row);
    }
    current.add(row);
    unseenBytes += FileDraft.bytesOf(row);
    if (++unseenRows >= ROWS_BETWEEN_LOOKS || unseenBytes >= mostBytes / LOOKS) {
      unseenRows = 0;
      unseenBytes = 0;
      if (drafts.values().stream().mapToLong(FileDraft::memory).sum() >= mostBytes) {
        writeFiles();
      }
    }
  }

  private boolean isOfCurrent(InternalRow row) {
    for (int i = 0; i < places.length; i++) {
      if (!isValue(row, places[i], values[i])) {
        return false;
      }
    }
    return true;
  }

  private static boolean isValue(InternalRow row, int at, byte[] value) {
    if (row.isNullAt(at) || value == null) {
      return row.isNullAt(at) && value == null;
    }
    if (row instanceof UnsafeRow unsafe && unsafe.getBaseObject() instanceof byte[] bytes) {
      int start = RowText.start(unsafe, at);
      return Arrays.equals(bytes, start, start + RowText.length(unsafe, at), value, 0, value.length);
    }
    return Arrays.equals(row.getUTF8String(at).getBytes(), value);
  }

  private FileDraft draft(InternalRow row) {
    String[] texts = new String[places.length];
    for (int i = 0; i < places.length; i++) {
      String text = row.isNullAt(places[i]) ? null : row.getUTF8String(places[i]).toString();
      values[i] = text == null ? null : text.getBytes(StandardCharsets.UTF_8);
      // The name of a folder does not tell them apart.
      texts[i] = "".equals(text) ? null : text;
    }
    return drafts.computeIfAbsent(Arrays.asList(texts), any -> new FileDraft(layout));
  }

  private void writeFiles() {
    // A name is used once in each folder.
    String name = written++ == 0 ? path.getName() : path.getName().replaceFirst("[.]", "-" + written + ".");
    try {
      for (Map.Entry<List<String>, FileDraft> draft : drafts.entrySet()) {
        draft.getValue().write(new Path(folder(draft.getKey()), name));
      }
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
    drafts.clear();
    current = null;
  }

  private Path folder(List<String> texts) {
    Path folder = path.getParent();
    for (int i = 0; i < places.length; i++) {
      folder = new Path(folder, ExternalCatalogUtils.getPartitionPathString(partitions.get(i), texts.get(i)));
    }
    return folder;
  }

  /** Spark closes what failed once more. */
  @Override
  public void close() {
    if (!isClosed) {
      isClosed = true;
      writeFiles();
      layout.close();
    }
  }

  @Override
  public String path() {
    return pathText;
  }
}
