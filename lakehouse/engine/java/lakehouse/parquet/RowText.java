package lakehouse.parquet;

import org.apache.spark.sql.catalyst.expressions.UnsafeRow;
import org.apache.spark.unsafe.Platform;

/**
 * Where a text lies in a row that lies in an array of bytes.
 *
 * <p>As {@link UnsafeRow} says: at the place of a text are its offset in the row and its length, four bytes each. To ask
 * for the text makes an object with four volatile fields, which takes longer than to write most texts.
 */
final class RowText {
  private RowText() {}

  static int start(UnsafeRow row, int at) {
    return (int) (row.getBaseOffset() - Platform.BYTE_ARRAY_OFFSET + (row.getLong(at) >>> Integer.SIZE));
  }

  static int length(UnsafeRow row, int at) {
    return (int) row.getLong(at);
  }
}
