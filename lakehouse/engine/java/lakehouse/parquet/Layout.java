package lakehouse.parquet;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.apache.hadoop.conf.Configuration;
import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.hadoop.CodecFactory;
import org.apache.parquet.hadoop.CodecFactory.BytesCompressor;
import org.apache.parquet.hadoop.ParquetOutputFormat;
import org.apache.parquet.hadoop.api.WriteSupport.WriteContext;
import org.apache.parquet.schema.GroupType;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.PrimitiveType;
import org.apache.parquet.schema.Type;
import org.apache.spark.sql.execution.datasources.parquet.ParquetWriteSupport;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.MapType;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;

/** What the files of a task have in common: which columns of a row they hold, how they are laid out and compressed. */
final class Layout {
  /** What Spark notes in files whose times it has moved to the Julian calendar; ours are as they are. */
  private static final List<String> NOTES_OF_OLD =
      List.of("org.apache.spark.legacyDateTime", "org.apache.spark.legacyINT96", "org.apache.spark.timeZone");

  private final Configuration conf;
  private final StructField[] fields;
  private final int[] places;
  private final MessageType schema;
  private final Map<String, String> notes;
  private final CodecFactory codecs;

  /**
   * @param rows The columns of the rows.
   * @param without Those that no file has.
   * @param conf Settings as Spark's own writer takes them, with the other columns among them.
   */
  Layout(StructType rows, List<String> without, Configuration conf) {
    this.conf = conf;
    String[] names = rows.fieldNames();
    places = Arrays.stream(names).filter(name -> !without.contains(name)).mapToInt(rows::fieldIndex).toArray();
    fields = Arrays.stream(places).mapToObj(place -> rows.fields()[place]).toArray(StructField[]::new);
    WriteContext context = new ParquetWriteSupport().init(conf);
    schema = context.getSchema();
    notes = new HashMap<>(context.getExtraMetaData());
    notes.keySet().removeAll(NOTES_OF_OLD);
    codecs = new CodecFactory(conf, Leaf.PAGE_BYTES);
  }

  Configuration conf() {
    return conf;
  }

  MessageType schema() {
    return schema;
  }

  Map<String, String> notes() {
    return notes;
  }

  BytesCompressor compressor() {
    return codecs.getCompressor(ParquetOutputFormat.getCompression(conf));
  }

  /** Where in a row the column with this number is. */
  int place(int column) {
    return places[column];
  }

  /** The shapes of the columns, over leaves that are made for them. */
  Shape[] shapes(Function<ColumnDescriptor, Leaf> leaves) {
    return new Maker(schema, leaves).fields(fields, schema, new String[0]);
  }

  /** Let go of what compresses. */
  void close() {
    codecs.release();
  }

  private record Maker(MessageType schema, Function<ColumnDescriptor, Leaf> leaves) {
    Shape[] fields(StructField[] fields, GroupType group, String[] path) {
      Shape[] shapes = new Shape[fields.length];
      for (int i = 0; i < shapes.length; i++) {
        shapes[i] = shape(fields[i].dataType(), group.getType(i), path);
      }
      return shapes;
    }

    private Shape shape(DataType type, Type stored, String[] above) {
      String[] path = below(above, stored);
      int optional = stored.isRepetition(Type.Repetition.OPTIONAL) ? 1 : 0;
      if (type instanceof StructType struct) {
        return new NestedShapes.Struct(fields(struct.fields(), stored.asGroupType(), path), optional);
      }
      if (!(type instanceof ArrayType || type instanceof MapType)) {
        PrimitiveType leaf = stored.asPrimitiveType();
        return LeafShape.of(type, leaves.apply(schema.getColumnDescription(path)), leaf.getTypeLength());
      }
      GroupType repeated = stored.asGroupType().getType(0).asGroupType();
      String[] inside = below(path, repeated);
      int level = schema.getMaxRepetitionLevel(inside);
      if (type instanceof ArrayType array) {
        Shape element = shape(array.elementType(), repeated.getType(0), inside);
        return new NestedShapes.Array(element, optional, level);
      }
      MapType map = (MapType) type;
      Shape key = shape(map.keyType(), repeated.getType(0), inside);
      return new NestedShapes.Pairs(key, shape(map.valueType(), repeated.getType(1), inside), optional, level);
    }

    private static String[] below(String[] path, Type step) {
      String[] longer = Arrays.copyOf(path, path.length + 1);
      longer[path.length] = step.getName();
      return longer;
    }
  }
}
