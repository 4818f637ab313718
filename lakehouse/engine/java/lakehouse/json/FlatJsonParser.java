package lakehouse.json;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.connector.catalog.functions.ScalarFunction;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.Platform;
import org.apache.spark.unsafe.types.UTF8String;

/**
 * The fields of a JSON object as {@code from_json} gives them, or null where anything is out of the ordinary.
 *
 * <p>A result says: the text is one valid object and nothing besides; it has none but the struct's fields, each of them
 * once at most; every value is null or fits its type without a doubt. What is not told so plainly is left to {@code
 * from_json}, which is slower: objects and arrays, exponents, numbers in quotes, unknown keys, a repeated key. So there
 * are no errors here, and nothing is decided about bad records.
 */
public final class FlatJsonParser implements ScalarFunction<InternalRow> {
  private static final long serialVersionUID = 1;

  /** Beyond this {@code from_json} may have limits of its own. */
  private static final int MOST_BYTES = 1 << 20;
  /** Fields are marked as seen in the bits of a long. */
  private static final int MOST_FIELDS = 64;

  private static final byte[] NULL = {'n', 'u', 'l', 'l'};

  private final StructType event;
  /** Whether all keys stand in an object as they are called; those that need escapes are left to {@code from_json}. */
  private final transient boolean isSuitable;
  private final transient byte[][] keys;
  private final transient FlatValue[] values;
  /** For each place in an object the field that was there last; producers write the same order every time. */
  private final transient int[] usual;

  FlatJsonParser(StructType event) {
    StructField[] fields = event.fields();
    this.event = event;
    isSuitable = fields.length <= MOST_FIELDS && Arrays.stream(fields).allMatch(field -> isPlain(field.name()));
    keys = new byte[fields.length][];
    values = new FlatValue[fields.length];
    usual = new int[fields.length];
    for (int field = 0; field < fields.length; field++) {
      keys[field] = ('"' + fields[field].name() + '"').getBytes(StandardCharsets.UTF_8);
      values[field] = FlatValue.of(fields[field].dataType());
      usual[field] = field;
    }
  }

  private static boolean isPlain(String key) {
    return key.chars().allMatch(letter -> letter >= ' ' && letter != '"' && letter != '\\');
  }

  @Override
  public DataType[] inputTypes() {
    return new DataType[] {DataTypes.StringType, event};
  }

  @Override
  public DataType resultType() {
    return event;
  }

  @Override
  public String name() {
    return FlatJson.FUNCTION;
  }

  @Override
  public String canonicalName() {
    return name() + event.json();
  }

  /** Found by Spark by its name and the types of its arguments, for the code that it compiles. */
  public InternalRow invoke(UTF8String text, InternalRow type) {
    if (text == null || !isSuitable || text.numBytes() > MOST_BYTES) {
      return null;
    }
    byte[] bytes;
    int start;
    if (text.getBaseObject() instanceof byte[] shared) {
      bytes = shared;
      start = (int) (text.getBaseOffset() - Platform.BYTE_ARRAY_OFFSET);
    } else {
      bytes = text.getBytes();
      start = 0;
    }
    FlatText in = new FlatText(bytes, start, start + text.numBytes());
    Object[] row = new Object[keys.length];
    return fill(row, in) && (in.isAscii || text.isValid()) ? new GenericInternalRow(row) : null;
  }

  @Override
  public InternalRow produceResult(InternalRow input) {
    return invoke(input.isNullAt(0) ? null : input.getUTF8String(0), null);
  }

  /** Tasks get the type and make the rest anew. */
  private Object readResolve() {
    return new FlatJsonParser(event);
  }

  private boolean fill(Object[] row, FlatText in) {
    if (!in.open()) {
      return false;
    }
    if (in.isAtEnd()) {
      return true;
    }
    long seen = 0;
    int place = 0;
    do {
      int field = key(in, place++);
      if (field < 0 || (seen & 1L << field) != 0) {
        return false;
      }
      seen |= 1L << field;
      if (!in.takes(':')) {
        return false;
      }
      if (!in.takes(NULL)) {
        row[field] = values[field].read(in);
        if (row[field] == null) {
          return false;
        }
      }
    } while (in.takes(','));
    return in.isAtEnd();
  }

  /** The field whose key is next; -1 when it is none of them. */
  private int key(FlatText in, int place) {
    if (place >= usual.length) {
      return -1;
    }
    int expected = usual[place];
    if (in.takes(keys[expected])) {
      return expected;
    }
    for (int field = 0; field < keys.length; field++) {
      if (in.takes(keys[field])) {
        usual[place] = field;
        return field;
      }
    }
    return -1;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof FlatJsonParser parser && event.equals(parser.event);
  }

  @Override
  public int hashCode() {
    return event.hashCode();
  }
}
