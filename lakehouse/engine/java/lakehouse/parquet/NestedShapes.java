package lakehouse.parquet;

import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.SpecializedGetters;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.catalyst.util.MapData;

/** Structs, arrays and maps. */
final class NestedShapes {
  private NestedShapes() {}

  private static void addNulls(Shape[] parts, int repetition, int definition) {
    for (Shape part : parts) {
      part.addNull(repetition, definition);
    }
  }

  /** Values of a repeated part, which a place of its own may repeat: at {@code level}. */
  private static void addAll(Shape part, ArrayData values, int level, int repetition, int definition) {
    int count = values.numElements();
    if (count == 0) {
      part.addNull(repetition, definition);
    }
    for (int i = 0; i < count; i++) {
      part.add(values, i, i == 0 ? repetition : level, definition + 1);
    }
  }

  /** @param optional 1 when there may be null, else 0, here and below. */
  record Struct(Shape[] fields, int optional) implements Shape {
    @Override
    public void add(SpecializedGetters from, int at, int repetition, int definition) {
      if (from.isNullAt(at)) {
        addNull(repetition, definition);
        return;
      }
      InternalRow struct = from.getStruct(at, fields.length);
      for (int i = 0; i < fields.length; i++) {
        fields[i].add(struct, i, repetition, definition + optional);
      }
    }

    @Override
    public void addNull(int repetition, int definition) {
      addNulls(fields, repetition, definition);
    }
  }

  /** @param level The level at which values of this array are repeated. */
  record Array(Shape element, int optional, int level) implements Shape {
    @Override
    public void add(SpecializedGetters from, int at, int repetition, int definition) {
      if (from.isNullAt(at)) {
        addNull(repetition, definition);
      } else {
        addAll(element, from.getArray(at), level, repetition, definition + optional);
      }
    }

    @Override
    public void addNull(int repetition, int definition) {
      element.addNull(repetition, definition);
    }
  }

  /** @param level As of arrays. */
  record Pairs(Shape key, Shape value, int optional, int level) implements Shape {
    @Override
    public void add(SpecializedGetters from, int at, int repetition, int definition) {
      if (from.isNullAt(at)) {
        addNull(repetition, definition);
      } else {
        MapData pairs = from.getMap(at);
        addAll(key, pairs.keyArray(), level, repetition, definition + optional);
        addAll(value, pairs.valueArray(), level, repetition, definition + optional);
      }
    }

    @Override
    public void addNull(int repetition, int definition) {
      addNulls(new Shape[] {key, value}, repetition, definition);
    }
  }
}
