package lakehouse.json;

import java.util.Arrays;
import java.util.HexFormat;
import org.apache.spark.unsafe.types.UTF8String;

/**
 * A place in the bytes of a text that should be a JSON object. What a method takes is behind the place afterwards; what it
 * does not take is not, except for texts and numbers: one that fails may have been taken in part.
 *
 * <p>The last byte is a closing brace, or {@link #open} fails. So loops that stop at a brace need no look at the end.
 */
final class FlatText {
  /** Digits that a long has for certain. */
  private static final int MOST_DIGITS = 18;

  private final byte[] bytes;
  private int at;
  private int last;

  /** Whether the texts so far were ASCII; else somebody has to see whether they are UTF-8. */
  boolean isAscii = true;

  /** The number taken last, without its point. */
  long digits;
  /** How many of its digits stood behind the point. */
  int scale;
  /** How many digits it was written with. */
  int precision;

  FlatText(byte[] bytes, int start, int end) {
    this.bytes = bytes;
    at = start;
    last = end - 1;
  }

  /** Takes the brace that opens the object, when there is one that closes it at the very end. */
  boolean open() {
    while (last > at && isBlank(bytes[last])) {
      last--;
    }
    return last > at && bytes[last] == '}' && takes('{');
  }

  /** Whether nothing is left but the brace that closes the object. */
  boolean isAtEnd() {
    skipBlanks();
    return at == last;
  }

  /** Whether this mark is next. */
  boolean isAt(char mark) {
    skipBlanks();
    return bytes[at] == mark;
  }

  /** Takes a mark, which is not a closing brace. */
  boolean takes(char mark) {
    boolean isNext = isAt(mark);
    at += isNext ? 1 : 0;
    return isNext;
  }

  /** Takes these bytes. */
  boolean takes(byte[] wanted) {
    skipBlanks();
    int end = at + wanted.length;
    if (end > last || !Arrays.equals(wanted, 0, wanted.length, bytes, at, end)) {
      return false;
    }
    at = end;
    return true;
  }

  /** Takes a text in quotes; a view of these bytes where it has no escapes, null when there is none. */
  UTF8String text() {
    if (!takes('"')) {
      return null;
    }
    int start = at;
    int all = 0;
    boolean isEscaped = false;
    for (byte octet = bytes[at]; octet != '"'; octet = bytes[++at]) {
      if (octet == '\\') {
        isEscaped = true;
        at++;
      } else if (octet >= 0 && octet < ' ') {
        return null;
      }
      if (at >= last) {
        return null;
      }
      all |= octet;
    }
    isAscii &= all >= 0;
    UTF8String raw = UTF8String.fromBytes(bytes, start, at - start);
    at++;
    return isEscaped ? unescaped(raw.toString()) : raw;
  }

  private static UTF8String unescaped(String raw) {
    StringBuilder text = new StringBuilder(raw.length());
    for (int i = 0; i < raw.length(); i++) {
      char letter = raw.charAt(i);
      if (letter != '\\') {
        text.append(letter);
        continue;
      }
      switch (raw.charAt(++i)) {
        case '"' -> text.append('"');
        case '\\' -> text.append('\\');
        case '/' -> text.append('/');
        case 'b' -> text.append('\b');
        case 'f' -> text.append('\f');
        case 'n' -> text.append('\n');
        case 'r' -> text.append('\r');
        case 't' -> text.append('\t');
        case 'u' -> {
          if (i + 4 >= raw.length() || !raw.substring(i + 1, i + 5).chars().allMatch(HexFormat::isHexDigit)) {
            return null;
          }
          text.append((char) HexFormat.fromHexDigits(raw, i + 1, i + 5));
          i += 4;
        }
        default -> {
          return null;
        }
      }
    }
    return UTF8String.fromString(text.toString());
  }

  /** Takes a number without an exponent into {@link #digits}, {@link #scale} and {@link #precision}. */
  boolean takesNumber() {
    boolean isNegative = takes('-');
    int start = at;
    takesDigits(0);
    int whole = at - start;
    if (whole == 0 || whole > 1 && bytes[start] == '0') {
      return false;
    }
    scale = 0;
    if (bytes[at] == '.') {
      int point = at++;
      takesDigits(digits);
      scale = at - point - 1;
      if (scale == 0) {
        return false;
      }
    }
    precision = whole + scale;
    // Whatever else a number may have is found as a mark that cannot follow one. Readers differ about -0.
    if (precision > MOST_DIGITS || isNegative && digits == 0) {
      return false;
    }
    digits = isNegative ? -digits : digits;
    return true;
  }

  /** As {@link #takesNumber}, of a number that may be in quotes. */
  boolean takesNumberOrText() {
    boolean isText = takes('"');
    if (isText && isBlank(bytes[at])) {
      return false;
    }
    return takesNumber() && (!isText || bytes[at++] == '"');
  }

  private void takesDigits(long before) {
    digits = before;
    for (int digit = bytes[at] - '0'; digit >= 0 && digit <= 9; digit = bytes[++at] - '0') {
      digits = digits * 10 + digit;
    }
  }

  private void skipBlanks() {
    while (isBlank(bytes[at])) {
      at++;
    }
  }

  private static boolean isBlank(byte octet) {
    return octet == ' ' || octet == '\n' || octet == '\r' || octet == '\t';
  }
}
