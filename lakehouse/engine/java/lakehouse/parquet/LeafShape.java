package lakehouse.parquet;

import java.math.BigInteger;
import java.util.Arrays;
import org.apache.spark.sql.catalyst.expressions.SpecializedGetters;
import org.apache.spark.sql.catalyst.expressions.UnsafeRow;
import org.apache.spark.sql.types.BinaryType;
import org.apache.spark.sql.types.BooleanType;
import org.apache.spark.sql.types.ByteType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DateType;
import org.apache.spark.sql.types.DecimalType;
import org.apache.spark.sql.types.DoubleType;
import org.apache.spark.sql.types.FloatType;
import org.apache.spark.sql.types.IntegerType;
import org.apache.spark.sql.types.LongType;
import org.apache.spark.sql.types.ShortType;
import org.apache.spark.sql.types.StringType;
import org.apache.spark.sql.types.TimestampNTZType;
import org.apache.spark.sql.types.TimestampType;

/** A value that is one value of one column. */
final class LeafShape implements Shape {
  private final Leaf leaf;
  private final Adder adder;

  /** Adds the value at a place, which is not null, to the leaf. */
  private interface Adder {
    void add(SpecializedGetters from, int at, int repetition);
  }

  private LeafShape(Leaf leaf, Adder adder) {
    this.leaf = leaf;
    this.adder = adder;
  }

  /** @param width The bytes of each value where all have the same number, else of no meaning. */
  static LeafShape of(DataType type, Leaf leaf, int width) {
    if (leaf instanceof NumberLeaf numbers) {
      return new LeafShape(leaf, ofNumbers(type, numbers));
    }
    if (leaf instanceof TextLeaf texts) {
      boolean isDecimal = type instanceof DecimalType;
      return new LeafShape(leaf, isDecimal ? ofLongDecimals((DecimalType) type, texts, width) : ofTexts(type, texts));
    }
    return new LeafShape(leaf, ofPlain(type, (PlainLeaf) leaf));
  }

  @Override
  public void add(SpecializedGetters from, int at, int repetition, int definition) {
    if (from.isNullAt(at)) {
      leaf.addNull(repetition, definition);
    } else {
      adder.add(from, at, repetition);
    }
  }

  @Override
  public void addNull(int repetition, int definition) {
    leaf.addNull(repetition, definition);
  }

  private static Adder ofNumbers(DataType type, NumberLeaf leaf) {
    if (type instanceof LongType || type instanceof TimestampType || type instanceof TimestampNTZType) {
      return (from, at, repetition) -> leaf.add(from.getLong(at), repetition);
    }
    if (type instanceof IntegerType || type instanceof DateType) {
      return (from, at, repetition) -> leaf.add(from.getInt(at), repetition);
    }
    if (type instanceof ShortType) {
      return (from, at, repetition) -> leaf.add(from.getShort(at), repetition);
    }
    if (type instanceof ByteType) {
      return (from, at, repetition) -> leaf.add(from.getByte(at), repetition);
    }
    if (type instanceof DecimalType decimal) {
      return (from, at, repetition) -> {
        // So few digits lie in an UnsafeRow as the number itself.
        long value =
            from instanceof UnsafeRow
                ? from.getLong(at)
                : from.getDecimal(at, decimal.precision(), decimal.scale()).toUnscaledLong();
        leaf.add(value, repetition);
      };
    }
    throw unsupported(type);
  }

  private static Adder ofTexts(DataType type, TextLeaf leaf) {
    boolean isText = type instanceof StringType;
    if (!isText && !(type instanceof BinaryType)) {
      throw unsupported(type);
    }
    return (from, at, repetition) -> {
      if (from instanceof UnsafeRow row && row.getBaseObject() instanceof byte[] bytes) {
        leaf.add(bytes, RowText.start(row, at), RowText.length(row, at), repetition);
      } else {
        byte[] bytes = isText ? from.getUTF8String(at).getBytes() : from.getBinary(at);
        leaf.add(bytes, 0, bytes.length, repetition);
      }
    };
  }

  private static Adder ofPlain(DataType type, PlainLeaf leaf) {
    if (type instanceof DoubleType) {
      return (from, at, repetition) -> leaf.add(from.getDouble(at), repetition);
    }
    if (type instanceof FloatType) {
      return (from, at, repetition) -> leaf.add(from.getFloat(at), repetition);
    }
    if (type instanceof BooleanType) {
      return (from, at, repetition) -> leaf.add(from.getBoolean(at), repetition);
    }
    throw unsupported(type);
  }

  /** Decimals of more digits than a long has: bytes of one width, the highest first, negative ones as complements. */
  private static Adder ofLongDecimals(DecimalType type, TextLeaf leaf, int width) {
    byte[] bytes = new byte[width];
    return (from, at, repetition) -> {
      BigInteger value = from.getDecimal(at, type.precision(), type.scale()).toJavaBigDecimal().unscaledValue();
      byte[] shortest = value.toByteArray();
      Arrays.fill(bytes, (byte) (value.signum() < 0 ? -1 : 0));
      System.arraycopy(shortest, 0, bytes, width - shortest.length, shortest.length);
      leaf.add(bytes, 0, width, repetition);
    };
  }

  private static UnsupportedOperationException unsupported(DataType type) {
    return new UnsupportedOperationException("no column of a Parquet file is written here for " + type.sql());
  }
}
