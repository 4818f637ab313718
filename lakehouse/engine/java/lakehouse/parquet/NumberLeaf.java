package lakehouse.parquet;

import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.column.page.PageWriter;

/** A column of whole numbers, dates, times, or decimals that fit into a whole number. */
final class NumberLeaf extends DictionaryLeaf<NumberDictionary> {
  private final boolean isLong;

  NumberLeaf(ColumnDescriptor column, PageWriter pages, boolean hasStatistics, boolean isLong, boolean hasDictionary) {
    super(column, pages, hasStatistics, hasDictionary ? new NumberDictionary(isLong) : null);
    this.isLong = isLong;
  }

  void add(long value, int repetition) {
    entry(repetition, defined);
    if (dictionary == null) {
      plain.addNumber(value, isLong);
      addStatistics(value);
      return;
    }
    int before = dictionary.distinct;
    int number = dictionary.numberOf(value);
    if (number == before) {
      addStatistics(value);
    }
    addNumber(number, isLong ? Long.BYTES : Integer.BYTES);
  }

  private void addStatistics(long value) {
    if (isLong) {
      statistics().updateStats(value);
    } else {
      statistics().updateStats((int) value);
    }
  }
}
