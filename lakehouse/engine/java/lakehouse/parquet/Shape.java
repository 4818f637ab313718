package lakehouse.parquet;

import org.apache.spark.sql.catalyst.expressions.SpecializedGetters;

/** How values of one type are taken apart into the columns of their leaves, as Dremel's paper has it. */
interface Shape {
  /**
   * Add the value at a place of a row or of an array, which may be null.
   *
   * @param repetition The level at which it is repeated: zero for the first value of a row.
   * @param definition How many of the things around it are there that might not be.
   */
  void add(SpecializedGetters from, int at, int repetition, int definition);

  /** Add that there is nothing to add; as above. */
  void addNull(int repetition, int definition);
}
