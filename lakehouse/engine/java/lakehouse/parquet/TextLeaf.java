package lakehouse.parquet;

import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.column.page.PageWriter;
import org.apache.parquet.io.api.Binary;

/** A column of texts, of other strings of bytes, or of decimals with many digits. */
final class TextLeaf extends DictionaryLeaf<TextDictionary> {
  private final boolean hasLength;

  TextLeaf(ColumnDescriptor column, PageWriter pages, boolean hasStatistics, boolean hasLength, boolean hasDictionary) {
    super(column, pages, hasStatistics, hasDictionary ? new TextDictionary(hasLength) : null);
    this.hasLength = hasLength;
  }

  /** Add a value that stands among other bytes, which may be others afterwards. */
  void add(byte[] from, int start, int length, int repetition) {
    entry(repetition, defined);
    if (dictionary == null) {
      plain.addText(from, start, length, hasLength);
      statistics().updateStats(Binary.fromReusedByteArray(from, start, length));
      return;
    }
    int before = dictionary.distinct;
    int number = dictionary.numberOf(from, start, length);
    if (number == before) {
      statistics().updateStats(Binary.fromReusedByteArray(from, start, length));
    }
    addNumber(number, hasLength ? Integer.BYTES + length : length);
  }
}
