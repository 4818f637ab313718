package lakehouse.parquet;

import java.io.IOException;
import java.util.Arrays;
import org.apache.parquet.bytes.BytesInput;
import org.apache.parquet.bytes.BytesUtils;
import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.column.Encoding;
import org.apache.parquet.column.page.DictionaryPage;
import org.apache.parquet.column.page.PageWriter;
import org.apache.parquet.column.values.rle.RunLengthBitPackingHybridEncoder;

/**
 * A column whose pages hold numbers of a dictionary's values while that saves something, else the values themselves.
 *
 * <p>When the first page shows that a dictionary saves nothing, or once it has grown large, values stand in the pages
 * themselves from there on.
 */
abstract class DictionaryLeaf<D extends Dictionary> extends Leaf {
  private static final int MOST_BYTES = 1 << 20;
  private static final int FIRST_NUMBERS = 32;

  /** Values of this page, once there is no dictionary. */
  final PlainBytes plain = new PlainBytes();
  /** Null when it is not, or no longer, asked. */
  D dictionary;

  /** As above, but what pages need that are written already. */
  private D written;
  private int[] numbers = new int[FIRST_NUMBERS];
  private int count;
  private long bytes;
  private Encoding encoding = Encoding.PLAIN;

  DictionaryLeaf(ColumnDescriptor column, PageWriter pages, boolean hasStatistics, D dictionary) {
    super(column, pages, hasStatistics);
    this.dictionary = dictionary;
  }

  /** Keep the number of a value that by itself would take so many bytes. */
  final void addNumber(int number, int size) {
    if (count == numbers.length) {
      numbers = Arrays.copyOf(numbers, 2 * count);
    }
    numbers[count++] = number;
    bytes += size;
    if (dictionary.bytes() > MOST_BYTES) {
      doWithout();
    }
  }

  private void doWithout() {
    for (int i = 0; i < count; i++) {
      dictionary.addTo(plain, numbers[i]);
    }
    dictionary = null;
    numbers = null;
    count = 0;
    bytes = 0;
  }

  @Override
  final long pageBytes() {
    return bytes + plain.size;
  }

  @Override
  final BytesInput pageValues() throws IOException {
    if (dictionary != null && count > 0) {
      BytesInput packed = packed();
      if (written != null || packed.size() + dictionary.bytes() < bytes) {
        written = dictionary;
        encoding = Encoding.PLAIN_DICTIONARY;
        return packed;
      }
      doWithout();
    }
    encoding = Encoding.PLAIN;
    return plain.all();
  }

  private BytesInput packed() throws IOException {
    int most = dictionary.distinct - 1;
    BytesInput width = BytesInput.from(new byte[] {(byte) BytesUtils.getWidthFromMaxInt(most)});
    RunLengthBitPackingHybridEncoder encoder = encoder(most);
    for (int i = 0; i < count; i++) {
      encoder.writeInt(numbers[i]);
    }
    return BytesInput.concat(width, encoder.toBytes());
  }

  @Override
  final Encoding encoding() {
    return encoding;
  }

  @Override
  final boolean nextPage() {
    count = 0;
    bytes = 0;
    plain.size = 0;
    // A dictionary's values were added once and may come again in any page.
    return dictionary == null;
  }

  @Override
  final DictionaryPage dictionary() {
    return written == null ? null : written.page();
  }

  @Override
  final long dictionaryMemory() {
    D known = dictionary == null ? written : dictionary;
    return known == null ? 0 : known.memory();
  }
}
