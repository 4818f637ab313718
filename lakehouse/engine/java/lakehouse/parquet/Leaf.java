package lakehouse.parquet;

import java.io.IOException;
import java.io.UncheckedIOException;
import org.apache.parquet.bytes.BytesInput;
import org.apache.parquet.bytes.BytesUtils;
import org.apache.parquet.bytes.HeapByteBufferAllocator;
import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.column.Encoding;
import org.apache.parquet.column.page.DictionaryPage;
import org.apache.parquet.column.page.PageWriter;
import org.apache.parquet.column.statistics.Statistics;
import org.apache.parquet.column.values.rle.RunLengthBitPackingHybridEncoder;
import org.apache.parquet.schema.PrimitiveType;

/**
 * One column of a file: its pages, with the levels that say what is repeated and what is null, and their statistics.
 *
 * <p>Here: what all columns have. Not here: keeping values, which subclasses do, one by one after {@link #entry}. Pages
 * are Parquet's first version, as Spark's own writer makes them.
 */
abstract class Leaf {
  static final int PAGE_BYTES = 1 << 20;
  private static final int PAGE_ROWS = 20_000;
  private static final int FIRST_BYTES = 64;

  /** The definition level of a value that is there. */
  final int defined;

  private final PrimitiveType type;
  private final boolean hasStatistics;
  private final PageWriter pages;
  /** Null where there is one level only. */
  private final RunLengthBitPackingHybridEncoder repetitions;
  private final RunLengthBitPackingHybridEncoder definitions;
  /** Of the values of this page, or of more than these. */
  private Statistics<?> statistics;
  private int entries;
  private int nulls;
  private int rows;

  Leaf(ColumnDescriptor column, PageWriter pages, boolean hasStatistics) {
    this.type = column.getPrimitiveType();
    this.hasStatistics = hasStatistics;
    this.pages = pages;
    defined = column.getMaxDefinitionLevel();
    definitions = defined == 0 ? null : encoder(defined);
    int repeated = column.getMaxRepetitionLevel();
    repetitions = repeated == 0 ? null : encoder(repeated);
    statistics = noStatistics();
  }

  /** Say that there is no value at this place, and how far what lies around it is there. */
  final void addNull(int repetition, int definition) {
    entry(repetition, definition);
    nulls++;
  }

  /** Say at which levels the next value stands; a page that is full ends before it. */
  final void entry(int repetition, int definition) {
    try {
      if (repetition == 0) {
        if (rows >= PAGE_ROWS || pageBytes() >= PAGE_BYTES) {
          endPage();
        }
        rows++;
      }
      if (repetitions != null) {
        repetitions.writeInt(repetition);
      }
      if (definitions != null) {
        definitions.writeInt(definition);
      }
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
    entries++;
  }

  /** What the next values are added to; a value that was there before in this page need not be added again. */
  final Statistics<?> statistics() {
    return statistics;
  }

  /** Write what is left, and the dictionary if pages need one. */
  final void end() throws IOException {
    if (entries > 0) {
      endPage();
    }
    DictionaryPage dictionary = dictionary();
    if (dictionary != null) {
      pages.writeDictionaryPage(dictionary);
    }
  }

  /** About how many bytes of memory the column takes. */
  final long memory() {
    return pages.getMemSize() + pageBytes() + dictionaryMemory();
  }

  /** For numbers from zero to {@code most}: each in as few bits as that needs, a run of one number as one. */
  static RunLengthBitPackingHybridEncoder encoder(int most) {
    int width = BytesUtils.getWidthFromMaxInt(most);
    return new RunLengthBitPackingHybridEncoder(width, FIRST_BYTES, PAGE_BYTES, new HeapByteBufferAllocator());
  }

  /** About how many bytes the page's values are so far. */
  abstract long pageBytes();

  /** The page's values as {@link #encoding} has them, which is asked afterwards. */
  abstract BytesInput pageValues() throws IOException;

  abstract Encoding encoding();

  /** Forget the page; returns whether the next one's statistics begin anew, too. */
  abstract boolean nextPage();

  /** What the pages written so far need, or null. */
  abstract DictionaryPage dictionary();

  abstract long dictionaryMemory();

  private void endPage() throws IOException {
    BytesInput values = pageValues();
    Statistics<?> found = noStatistics();
    if (entries > nulls) {
      found.mergeStatistics(statistics);
    }
    found.incrementNumNulls(nulls);
    BytesInput page = BytesInput.concat(levels(repetitions), levels(definitions), values);
    pages.writePage(page, entries, rows, found, Encoding.RLE, Encoding.RLE, encoding());
    entries = 0;
    nulls = 0;
    rows = 0;
    if (nextPage()) {
      statistics = noStatistics();
    }
  }

  private Statistics<?> noStatistics() {
    return hasStatistics ? Statistics.createStats(type) : Statistics.noopStats(type);
  }

  /** The levels, and that the next page has none yet. */
  private static BytesInput levels(RunLengthBitPackingHybridEncoder encoder) throws IOException {
    if (encoder == null) {
      return BytesInput.empty();
    }
    BytesInput encoded = BytesInput.copy(encoder.toBytes());
    encoder.reset();
    return BytesInput.concat(BytesInput.fromInt(Math.toIntExact(encoded.size())), encoded);
  }
}
