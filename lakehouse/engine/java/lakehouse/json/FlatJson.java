package lakehouse.json;

import org.apache.spark.sql.connector.catalog.functions.BoundFunction;
import org.apache.spark.sql.connector.catalog.functions.UnboundFunction;
import org.apache.spark.sql.types.StructType;

/**
 * A function for Spark SQL, {@code flat_json(text, cast(null as struct<…>))}.
 *
 * <p>Here: its name and its arguments. Not here: what it does ({@link FlatJsonParser}). The second argument only carries
 * the type of the result, as functions of catalogs learn nothing of their arguments but their types.
 */
public final class FlatJson implements UnboundFunction {
  static final String FUNCTION = "flat_json";

  @Override
  public String name() {
    return FUNCTION;
  }

  @Override
  public BoundFunction bind(StructType arguments) {
    if (arguments.length() == 2 && arguments.apply(1).dataType() instanceof StructType event) {
      return new FlatJsonParser(event);
    }
    throw new UnsupportedOperationException("flat_json takes a text and a struct");
  }

  @Override
  public String description() {
    return "flat_json(text, cast(null as struct<...>)): the fields of a flat JSON object, or null";
  }
}
