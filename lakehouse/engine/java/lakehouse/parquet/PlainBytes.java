package lakehouse.parquet;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.apache.parquet.bytes.BytesInput;

/** Bytes that grow at their end, numbers with the lowest byte first: Parquet's encoding named plain. */
final class PlainBytes {
  private static final int MOST = Integer.MAX_VALUE - 8;
  private static final VarHandle INTS = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  byte[] array = new byte[64];
  int size;

  static long longAt(byte[] from, int start) {
    return (long) LONGS.get(from, start);
  }

  void addInt(int value) {
    makeRoom(Integer.BYTES);
    INTS.set(array, size, value);
    size += Integer.BYTES;
  }

  void addLong(long value) {
    makeRoom(Long.BYTES);
    LONGS.set(array, size, value);
    size += Long.BYTES;
  }

  /** A number of eight bytes or of four. */
  void addNumber(long value, boolean isLong) {
    if (isLong) {
      addLong(value);
    } else {
      addInt((int) value);
    }
  }

  /** A text, behind its length unless all texts have the same one. */
  void addText(byte[] from, int start, int length, boolean hasLength) {
    if (hasLength) {
      addInt(length);
    }
    add(from, start, length);
  }

  void add(byte[] from, int start, int length) {
    makeRoom(length);
    System.arraycopy(from, start, array, size, length);
    size += length;
  }

  void addByte(byte value) {
    makeRoom(1);
    array[size++] = value;
  }

  /** What is there; valid until more is added. */
  BytesInput all() {
    return BytesInput.from(array, 0, size);
  }

  private void makeRoom(int more) {
    if (more > array.length - size) {
      int wanted = Math.addExact(size, more);
      array = Arrays.copyOf(array, (int) Math.max(wanted, Math.min(2L * array.length, MOST)));
    }
  }
}
