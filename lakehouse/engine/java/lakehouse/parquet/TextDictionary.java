package lakehouse.parquet;

import java.util.Arrays;

/** A dictionary of texts, or of other strings of bytes. */
final class TextDictionary extends Dictionary {
  private static final long UPPER_HALF = 0xFFFFFFFF00000000L;

  private final boolean hasLength;
  private final PlainBytes values = new PlainBytes();
  /** Where each value ends; it begins where the one before it ends. */
  private int[] ends = new int[FIRST_SLOTS];
  /** The number of a value and one, with the upper half of its hash above; at most half of the slots are taken. */
  private long[] slots = new long[2 * FIRST_SLOTS];

  /**
   * @param hasLength Whether values may differ in length, so that each of them says its own.
   */
  TextDictionary(boolean hasLength) {
    this.hasLength = hasLength;
  }

  int numberOf(byte[] from, int start, int length) {
    long hash = hash(from, start, length);
    int last = slots.length - 1;
    int slot = (int) hash & last;
    for (; slots[slot] != 0; slot = slot + 1 & last) {
      int number = (int) slots[slot] - 1;
      boolean isLikely = ((slots[slot] ^ hash) & UPPER_HALF) == 0;
      if (isLikely && Arrays.equals(values.array, begin(number), ends[number], from, start, start + length)) {
        return number;
      }
    }
    if (distinct == ends.length) {
      grow();
      slot = free(hash);
    }
    values.add(from, start, length);
    ends[distinct] = values.size;
    slots[slot] = hash & UPPER_HALF | ++distinct;
    return distinct - 1;
  }

  @Override
  void addTo(PlainBytes plain, int number) {
    int begin = begin(number);
    plain.addText(values.array, begin, ends[number] - begin, hasLength);
  }

  @Override
  long bytes() {
    return values.size + (hasLength ? (long) Integer.BYTES * distinct : 0);
  }

  @Override
  long memory() {
    return values.array.length + (long) Integer.BYTES * ends.length + (long) Long.BYTES * slots.length;
  }

  private int begin(int number) {
    return number == 0 ? 0 : ends[number - 1];
  }

  private void grow() {
    ends = Arrays.copyOf(ends, 2 * distinct);
    slots = new long[4 * distinct];
    for (int number = 0; number < distinct; number++) {
      long hash = hash(values.array, begin(number), ends[number] - begin(number));
      slots[free(hash)] = hash & UPPER_HALF | number + 1;
    }
  }

  private int free(long hash) {
    int last = slots.length - 1;
    int slot = (int) hash & last;
    while (slots[slot] != 0) {
      slot = slot + 1 & last;
    }
    return slot;
  }

  private static long hash(byte[] from, int start, int length) {
    long hash = length * MIX;
    int end = start + length;
    int at = start;
    for (; at + Long.BYTES <= end; at += Long.BYTES) {
      hash = (hash ^ PlainBytes.longAt(from, at)) * MIX;
      hash ^= hash >>> Integer.SIZE;
    }
    long rest = 0;
    for (; at < end; at++) {
      rest = rest << Byte.SIZE | from[at] & 0xFF;
    }
    hash = (hash ^ rest) * MIX;
    return (hash ^ hash >>> Integer.SIZE) * MIX;
  }
}
