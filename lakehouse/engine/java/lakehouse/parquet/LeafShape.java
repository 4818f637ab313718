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
abstract class LeafShape implements Shape {
  private final Leaf leaf;

  private LeafShape(Leaf leaf) {
    this.leaf = leaf;
  }

  /** @param width The bytes of each value where all have the same number, else of no meaning. */
  static LeafShape of(DataType type, Leaf leaf, int width) {
    if (leaf instanceof NumberLeaf numbers) {
      return ofNumbers(type, numbers);
    }
    if (leaf instanceof TextLeaf texts) {
      return type instanceof DecimalType decimal ? new LongDecimals(texts, decimal, width) : ofTexts(type, texts);
    }
    return ofPlain(type, (PlainLeaf) leaf);
  }

  static UnsupportedOperationException unsupported(DataType type) {
    return new UnsupportedOperationException("no column of a Parquet file is written here for " + type.sql());
  }

  @Override
  public final void add(SpecializedGetters from, int at, int repetition, int definition) {
    if (from.isNullAt(at)) {
      leaf.addNull(repetition, definition);
    } else {
      addValue(from, at, repetition);
    }
  }

  @Override
  public final void addNull(int repetition, int definition) {
    leaf.addNull(repetition, definition);
  }

  abstract void addValue(SpecializedGetters from, int at, int repetition);

  private static LeafShape ofNumbers(DataType type, NumberLeaf leaf) {
    if (type instanceof LongType || type instanceof TimestampType || type instanceof TimestampNTZType) {
      return new LeafShape(leaf) {
        @Override
        void addValue(SpecializedGetters from, int at, int repetition) {
          leaf.add(from.getLong(at), repetition);
        }
      };
    }
    if (type instanceof IntegerType || type instanceof DateType) {
      return new LeafShape(leaf) {
        @Override
        void addValue(SpecializedGetters from, int at, int repetition) {
          leaf.add(from.getInt(at), repetition);
        }
      };
    }
    if (type instanceof ShortType) {
      return new LeafShape(leaf) {
        @Override
        void addValue(SpecializedGetters from, int at, int repetition) {
          leaf.add(from.getShort(at), repetition);
        }
      };
    }
    if (type instanceof ByteType) {
      return new LeafShape(leaf) {
        @Override
        void addValue(SpecializedGetters from, int at, int repetition) {
          leaf.add(from.getByte(at), repetition);
        }
      };
    }
    if (type instanceof DecimalType decimal) {
      return new LeafShape(leaf) {
        @Override
        void addValue(SpecializedGetters from, int at, int repetition) {
          // So few digits lie in an UnsafeRow as the number itself.
          long value =
              from instanceof UnsafeRow
                  ? from.getLong(at)
                  : from.getDecimal(at, decimal.precision(), decimal.scale()).toUnscaledLong();
          leaf.add(value, repetition);
        }
      };
    }
    throw unsupported(type);
  }

  private static LeafShape ofTexts(DataType type, TextLeaf leaf) {
    boolean isText = type instanceof StringType;
    if (!isText && !(type instanceof BinaryType)) {
      throw unsupported(type);
    }
    return new LeafShape(leaf) {
      @Override
      void addValue(SpecializedGetters from, int at, int repetition) {
        if (from instanceof UnsafeRow row && row.getBaseObject() instanceof byte[] bytes) {
          leaf.add(bytes, RowText.start(row, at), RowText.length(row, at), repetition);
        } else {
          byte[] bytes = isText ? from.getUTF8String(at).getBytes() : from.getBinary(at);
          leaf.add(bytes, 0, bytes.length, repetition);
        }
      }
    };
  }

  private static LeafShape ofPlain(DataType type, PlainLeaf leaf) {
    if (type instanceof DoubleType) {
      return new LeafShape(leaf) {
        @Override
        void addValue(SpecializedGetters from, int at, int repetition) {
          leaf.add(from.getDouble(at), repetition);
        }
      };
    }
    if (type instanceof FloatType) {
      return new LeafShape(leaf) {
        @Override
        void addValue(SpecializedGetters from, int at, int repetition) {
          leaf.add(from.getFloat(at), repetition);
        }
      };
    }
    if (type instanceof BooleanType) {
      return new LeafShape(leaf) {
        @Override
        void addValue(SpecializedGetters from, int at, int repetition) {
          leaf.add(from.getBoolean(at), repetition);
        }
      };
    }
    throw unsupported(type);
  }

  /** Decimals of more digits than a long has: bytes of one width, the highest first, negative ones as complements. */
  private static final class LongDecimals extends LeafShape {
    private final TextLeaf leaf;
    private final DecimalType type;
    private final byte[] bytes;

    LongDecimals(TextLeaf leaf, DecimalType type, int width) {
      super(leaf);
      this.leaf = leaf;
      this.type = type;
      bytes = new byte[width];
    }

    @Override
    void addValue(SpecializedGetters from, int at, int repetition) {
      BigInteger value = from.getDecimal(at, type.precision(), type.scale()).toJavaBigDecimal().unscaledValue();
      byte[] shortest = value.toByteArray();
      Arrays.fill(bytes, (byte) (value.signum() < 0 ? -1 : 0));
      System.arraycopy(shortest, 0, bytes, bytes.length - shortest.length, shortest.length);
      leaf.add(bytes, 0, bytes.length, repetition);
    }
  }
}
