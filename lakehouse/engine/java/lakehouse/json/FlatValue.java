package lakehouse.json;

import org.apache.spark.sql.types.BooleanType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DateType;
import org.apache.spark.sql.types.Decimal;
import org.apache.spark.sql.types.DecimalType;
import org.apache.spark.sql.types.DoubleType;
import org.apache.spark.sql.types.IntegerType;
import org.apache.spark.sql.types.LongType;
import org.apache.spark.sql.types.StringType;
import org.apache.spark.sql.types.TimestampType;
import org.apache.spark.unsafe.types.UTF8String;

/** How a value of one type is read, as Spark keeps it inside; null where there is none without a doubt. */
interface FlatValue {
  Object read(FlatText in);

  static FlatValue of(DataType type) {
    if (type instanceof StringType) {
      return FlatValue::text;
    }
    if (type instanceof IntegerType) {
      return in -> in.takesNumber() && in.scale == 0 && in.digits == (int) in.digits ? (Object) (int) in.digits : null;
    }
    if (type instanceof LongType) {
      return in -> in.takesNumber() && in.scale == 0 ? (Object) in.digits : null;
    }
    if (type instanceof DoubleType) {
      return in -> in.takesNumber() && in.precision <= EXACT_DIGITS ? in.digits / (double) TENS[in.scale] : null;
    }
    if (type instanceof DecimalType decimal) {
      return in -> decimal(in, decimal.precision(), decimal.scale());
    }
    if (type instanceof BooleanType) {
      return in -> in.takes(TRUE) ? Boolean.TRUE : in.takes(FALSE) ? Boolean.FALSE : null;
    }
    if (type instanceof TimestampType) {
      return in -> IsoTime.micros(in.text());
    }
    if (type instanceof DateType) {
      return in -> IsoTime.days(in.text());
    }
    return in -> null;
  }

  /** Digits of which a double has each; divided by a power of ten as exact as they are, it is the nearest one. */
  int EXACT_DIGITS = 15;
  long[] TENS = tens();
  byte[] TRUE = {'t', 'r', 'u', 'e'};
  byte[] FALSE = {'f', 'a', 'l', 's', 'e'};

  private static long[] tens() {
    long[] powers = new long[Decimal.MAX_LONG_DIGITS() + 1];
    powers[0] = 1;
    for (int i = 1; i < powers.length; i++) {
      powers[i] = powers[i - 1] * 10;
    }
    return powers;
  }

  /** A text, or a whole number as it is written. */
  private static Object text(FlatText in) {
    if (in.isAt('"')) {
      return in.text();
    }
    return in.takesNumber() && in.scale == 0 ? UTF8String.fromString(Long.toString(in.digits)) : null;
  }

  /**
   * Rounded half up where there are more digits behind the point than the type has. Of more digits than a double has,
   * other readers see only these where the type is short.
   */
  private static Decimal decimal(FlatText in, int precision, int scale) {
    if (!in.takesNumberOrText() || in.precision > EXACT_DIGITS && precision <= EXACT_DIGITS) {
      return null;
    }
    long unscaled;
    if (in.scale <= scale) {
      if (in.precision + scale - in.scale > Decimal.MAX_LONG_DIGITS()) {
        return null;
      }
      unscaled = in.digits * TENS[scale - in.scale];
    } else {
      long more = TENS[in.scale - scale];
      long rest = Math.abs(in.digits % more);
      unscaled = in.digits / more + (rest >= more - rest ? Long.signum(in.digits) : 0);
    }
    long limit = TENS[Math.min(precision, Decimal.MAX_LONG_DIGITS())];
    return Math.abs(unscaled) < limit ? Decimal.createUnsafe(unscaled, precision, scale) : null;
  }
}
