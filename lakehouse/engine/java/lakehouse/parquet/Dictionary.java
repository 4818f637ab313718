package lakehouse.parquet;

import org.apache.parquet.column.Encoding;
import org.apache.parquet.column.page.DictionaryPage;

/** Distinct values and their numbers, from zero, in the order in which they came. */
abstract class Dictionary {
  static final int FIRST_SLOTS = 32;
  /** An odd number whose bits are well mixed: the golden ratio, as Knuth has it for multiplicative hashing. */
  static final long MIX = 0x9E3779B97F4A7C15L;

  /** How many values there are. */
  int distinct;

  /** Write the value of a number as it stands in a page without a dictionary. */
  abstract void addTo(PlainBytes plain, int number);

  /** The bytes of the dictionary in a file, before they are compressed. */
  abstract long bytes();

  /** About the bytes of the dictionary in memory. */
  abstract long memory();

  final DictionaryPage page() {
    PlainBytes plain = new PlainBytes();
    for (int number = 0; number < distinct; number++) {
      addTo(plain, number);
    }
    return new DictionaryPage(plain.all(), distinct, Encoding.PLAIN_DICTIONARY);
  }
}
