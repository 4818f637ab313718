package lakehouse;

import java.util.List;
import lakehouse.json.FlatJson;
import lakehouse.text.Matches;
import org.apache.spark.sql.connector.catalog.FunctionCatalog;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.functions.UnboundFunction;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/** The functions that Spark SQL has from us, as a catalog: how Spark finds them. */
public final class Functions implements FunctionCatalog {
  private static final List<UnboundFunction> ALL = List.of(new FlatJson(), new Matches());

  private String name;

  @Override
  public void initialize(String catalog, CaseInsensitiveStringMap options) {
    name = catalog;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public Identifier[] listFunctions(String[] namespace) {
    return ALL.stream().map(each -> Identifier.of(new String[0], each.name())).toArray(Identifier[]::new);
  }

  @Override
  public UnboundFunction loadFunction(Identifier identifier) {
    return ALL.stream()
        .filter(each -> each.name().equals(identifier.name()))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("there is no function " + identifier));
  }
}
