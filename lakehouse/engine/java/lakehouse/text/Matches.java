package lakehouse.text;

import java.util.regex.Pattern;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.connector.catalog.functions.BoundFunction;
import org.apache.spark.sql.connector.catalog.functions.ScalarFunction;
import org.apache.spark.sql.connector.catalog.functions.UnboundFunction;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.Platform;
import org.apache.spark.unsafe.types.UTF8String;

/**
 * {@code text rlike expression}, without making a Java string of the text where both are plain, and false for null.
 *
 * <p>What is not plain is asked as {@code rlike} asks: {@link Pattern} over the text as a string.
 */
public final class Matches implements UnboundFunction, ScalarFunction<Boolean> {
  private static final long serialVersionUID = 1;

  public static final String FUNCTION = "matches";

  /** The expression asked last, which is a constant of the query; tasks may make it twice, and share it. */
  private transient volatile Expression last;

  /**
   * @param plain Null where the expression is not.
   */
  private record Expression(UTF8String text, Pattern pattern, PlainPattern plain) {
    static Expression of(UTF8String text) {
      return new Expression(text.clone(), Pattern.compile(text.toString()), PlainPattern.of(text.toString()));
    }

    boolean fits(UTF8String asked) {
      if (plain != null && asked.getBaseObject() instanceof byte[] bytes) {
        int start = (int) (asked.getBaseOffset() - Platform.BYTE_ARRAY_OFFSET);
        PlainPattern.Answer answer = plain.ask(bytes, start, start + asked.numBytes());
        if (answer != PlainPattern.Answer.UNKNOWN) {
          return answer == PlainPattern.Answer.YES;
        }
      }
      return pattern.matcher(asked.toString()).find();
    }
  }

  @Override
  public BoundFunction bind(StructType arguments) {
    if (arguments.length() == 2) {
      return new Matches();
    }
    throw new UnsupportedOperationException("matches takes a text and a regular expression");
  }

  @Override
  public DataType[] inputTypes() {
    return new DataType[] {DataTypes.StringType, DataTypes.StringType};
  }

  @Override
  public DataType resultType() {
    return DataTypes.BooleanType;
  }

  /** Found by Spark by its name and the types of its arguments, for the code that it compiles. */
  public boolean invoke(UTF8String text, UTF8String expression) {
    if (text == null || expression == null) {
      return false;
    }
    Expression known = last;
    if (known == null || !known.text.equals(expression)) {
      known = Expression.of(expression);
      last = known;
    }
    return known.fits(text);
  }

  @Override
  public Boolean produceResult(InternalRow input) {
    return !input.isNullAt(0) && !input.isNullAt(1) && invoke(input.getUTF8String(0), input.getUTF8String(1));
  }

  @Override
  public String name() {
    return FUNCTION;
  }

  @Override
  public String description() {
    return "matches(text, expression): whether rlike is true";
  }

  @Override
  public String canonicalName() {
    return "lakehouse." + FUNCTION;
  }
}
