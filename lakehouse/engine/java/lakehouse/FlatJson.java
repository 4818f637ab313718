package lakehouse;

import org.apache.spark.sql.connector.catalog.FunctionCatalog;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.functions.BoundFunction;
import org.apache.spark.sql.connector.catalog.functions.UnboundFunction;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/**
 * A catalog of one function for Spark SQL, {@code flat_json(text, cast(null as struct<…>))}.
 *
 * <p>Here: how Spark finds the function. Not here: what it does ({@link FlatJsonParser}). The second argument only
 * carries the type of the result, as functions of catalogs learn nothing of their arguments but their types.
 */
public final class FlatJson implements FunctionCatalog, UnboundFunction {
  private static final long serialVersionUID = 1;

  static final String FUNCTION = "flat_json";

  private String catalog;

  @Override
  public void initialize(String name, CaseInsensitiveStringMap options) {
    catalog = name;
  }

  /** The catalog's name once it has one; asked as a function, it is in the catalog already. */
  @Override
  public String name() {
    return catalog;
  }

  @Override
  public Identifier[] listFunctions(String[] namespace) {
    return new Identifier[] {Identifier.of(new String[0], FUNCTION)};
  }

  @Override
  public UnboundFunction loadFunction(Identifier identifier) {
    if (!identifier.name().equals(FUNCTION)) {
      throw new IllegalArgumentException("there is no function but " + FUNCTION);
    }
    return this;
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
