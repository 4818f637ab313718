package lakehouse.parquet;

import java.util.Arrays;

/** A dictionary of whole numbers. */
final class NumberDictionary extends Dictionary {
  private final boolean isLong;
  private long[] values = new long[FIRST_SLOTS];
  /** Numbers of values and one, zero where there is none; at most half of the slots are taken. */
  private int[] slots = new int[2 * FIRST_SLOTS];

  NumberDictionary(boolean isLong) {
    this.isLong = isLong;
  }

  int numberOf(long value) {
    int slot = slotOf(value);
    if (slots[slot] != 0) {
      return slots[slot] - 1;
    }
    if (distinct == values.length) {
      values = Arrays.copyOf(values, 2 * distinct);
      slots = new int[4 * distinct];
      for (int number = 0; number < distinct; number++) {
        slots[slotOf(values[number])] = number + 1;
      }
      slot = slotOf(value);
    }
    values[distinct] = value;
    slots[slot] = ++distinct;
    return distinct - 1;
  }

  /** Where the value is, or where it would be. */
  private int slotOf(long value) {
    int last = slots.length - 1;
    int slot = (int) (value * MIX >>> Integer.SIZE) & last;
    while (slots[slot] != 0 && values[slots[slot] - 1] != value) {
      slot = slot + 1 & last;
    }
    return slot;
  }

  @Override
  void addTo(PlainBytes plain, int number) {
    plain.addNumber(values[number], isLong);
  }

  @Override
  long bytes() {
    return (long) (isLong ? Long.BYTES : Integer.BYTES) * distinct;
  }

  @Override
  long memory() {
    return (long) Long.BYTES * values.length + (long) Integer.BYTES * slots.length;
  }
}
