package lakehouse.parquet;

import org.apache.parquet.bytes.BytesInput;
import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.column.Encoding;
import org.apache.parquet.column.page.DictionaryPage;
import org.apache.parquet.column.page.PageWriter;

/** A column of fractions or of truth values, which never has a dictionary. */
final class PlainLeaf extends Leaf {
  private final PlainBytes plain = new PlainBytes();
  private int bits;

  PlainLeaf(ColumnDescriptor column, PageWriter pages, boolean hasStatistics) {
    super(column, pages, hasStatistics);
  }

  void add(double value, int repetition) {
    entry(repetition, defined);
    plain.addLong(Double.doubleToRawLongBits(value));
    statistics().updateStats(value);
  }

  void add(float value, int repetition) {
    entry(repetition, defined);
    plain.addInt(Float.floatToRawIntBits(value));
    statistics().updateStats(value);
  }

  void add(boolean value, int repetition) {
    entry(repetition, defined);
    int bit = bits++ % Byte.SIZE;
    if (bit == 0) {
      plain.addByte((byte) 0);
    }
    if (value) {
      plain.array[plain.size - 1] |= (byte) (1 << bit);
    }
    statistics().updateStats(value);
  }

  @Override
  long pageBytes() {
    return plain.size;
  }

  @Override
  BytesInput pageValues() {
    return plain.all();
  }

  @Override
  Encoding encoding() {
    return Encoding.PLAIN;
  }

  @Override
  boolean nextPage() {
    plain.size = 0;
    bits = 0;
    return true;
  }

  @Override
  DictionaryPage dictionary() {
    return null;
  }

  @Override
  long dictionaryMemory() {
    return 0;
  }
}
