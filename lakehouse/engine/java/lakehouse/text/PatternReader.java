package lakehouse.text;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * Reads the part of Java's regular expressions that needs no second thought.
 *
 * <p>{@code ^…$} around letters, {@code .}, classes like {@code [a-z0-9_]} or {@code [^@ ]}, groups with {@code |}, and
 * {@code * + ? {n} {n,} {n,m}}. Not: anything with a backslash, flags, look-arounds, lazy or possessive repeats, classes
 * within classes.
 */
final class PatternReader {
  static final int WITHOUT_END = -1;

  private static final int MOST_REPEATS = 200;
  private static final int MOST_DEPTH = 20;
  private static final String SPECIAL = "\\^$.|?*+()[]{}&";

  sealed interface Node permits Letters, Sequence, Choice, Repeat {}

  /** @param which Which of the printable ones, counted from {@link PlainPattern#FIRST}. */
  record Letters(BitSet which) implements Node {}

  record Sequence(List<Node> parts) implements Node {}

  record Choice(List<Node> parts) implements Node {}

  /** @param most May be {@link #WITHOUT_END}. */
  record Repeat(Node part, int least, int most) implements Node {}

  private static final class NotPlainException extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  private final String text;
  private int at;
  private int depth;

  private PatternReader(String text) {
    this.text = text;
  }

  /** What stands between {@code ^} and {@code $}; null when that is not plain. */
  static Node read(String expression) {
    if (expression.length() < 2 || !expression.startsWith("^") || !expression.endsWith("$")) {
      return null;
    }
    PatternReader reader = new PatternReader(expression.substring(1, expression.length() - 1));
    try {
      Node whole = reader.sequence();
      return reader.at == reader.text.length() ? whole : null;
    } catch (NotPlainException notPlain) {
      return null;
    }
  }

  /** Up to the end, a bar or a bracket that closes. */
  private Node sequence() {
    List<Node> parts = new ArrayList<>();
    while (at < text.length() && text.charAt(at) != '|' && text.charAt(at) != ')') {
      parts.add(repeated(atom()));
    }
    return new Sequence(parts);
  }

  private Node atom() {
    char letter = take();
    if (letter == '(') {
      return group();
    }
    if (letter == '[') {
      return letters();
    }
    BitSet which = new BitSet();
    if (letter == '.') {
      which.set(0, PlainPattern.LAST - PlainPattern.FIRST + 1);
    } else {
      add(which, letter, letter);
    }
    return new Letters(which);
  }

  private Node group() {
    if (++depth > MOST_DEPTH) {
      throw new NotPlainException();
    }
    if (text.startsWith("?:", at)) {
      at += 2;
    }
    List<Node> parts = new ArrayList<>(List.of(sequence()));
    while (at < text.length() && text.charAt(at) == '|') {
      at++;
      parts.add(sequence());
    }
    if (take() != ')') {
      throw new NotPlainException();
    }
    depth--;
    return new Choice(parts);
  }

  private Node letters() {
    BitSet which = new BitSet();
    boolean isNegated = text.startsWith("^", at);
    at += isNegated ? 1 : 0;
    int first = at;
    for (char letter = take(); letter != ']'; letter = take()) {
      char last = letter;
      if (text.startsWith("-", at) && !text.startsWith("-]", at)) {
        at++;
        last = take();
      } else if (letter == '-' && at - 1 != first && !text.startsWith("]", at)) {
        // Behind a range it is not clear what a dash is.
        throw new NotPlainException();
      }
      addOfClass(which, letter, last);
    }
    if (which.isEmpty()) {
      throw new NotPlainException();
    }
    if (isNegated) {
      which.flip(0, PlainPattern.LAST - PlainPattern.FIRST + 1);
    }
    return new Letters(which);
  }

  private static void addOfClass(BitSet which, char first, char last) {
    // A point, a star and their like are letters within a class, but what is not sure to be is left to Java.
    for (char letter : new char[] {first, last}) {
      if ("\\^[]&".indexOf(letter) >= 0) {
        throw new NotPlainException();
      }
    }
    if (first > last) {
      throw new NotPlainException();
    }
    setAll(which, first, last);
  }

  private static void add(BitSet which, char first, char last) {
    if (SPECIAL.indexOf(first) >= 0) {
      throw new NotPlainException();
    }
    setAll(which, first, last);
  }

  private static void setAll(BitSet which, char first, char last) {
    if (first < PlainPattern.FIRST || last > PlainPattern.LAST) {
      throw new NotPlainException();
    }
    which.set(first - PlainPattern.FIRST, last - PlainPattern.FIRST + 1);
  }

  private Node repeated(Node part) {
    if (at == text.length()) {
      return part;
    }
    int least;
    int most;
    switch (text.charAt(at)) {
      case '*' -> {
        least = 0;
        most = WITHOUT_END;
      }
      case '+' -> {
        least = 1;
        most = WITHOUT_END;
      }
      case '?' -> {
        least = 0;
        most = 1;
      }
      case '{' -> {
        at++;
        least = number();
        most = least;
        if (text.startsWith(",", at)) {
          at++;
          most = text.startsWith("}", at) ? WITHOUT_END : number();
        }
        if (!text.startsWith("}", at) || most != WITHOUT_END && most < least) {
          throw new NotPlainException();
        }
      }
      default -> {
        return part;
      }
    }
    at++;
    if (at < text.length() && "?+*{".indexOf(text.charAt(at)) >= 0) {
      throw new NotPlainException();
    }
    return new Repeat(part, least, most);
  }

  private int number() {
    int value = 0;
    int start = at;
    while (at < text.length() && Character.digit(text.charAt(at), 10) >= 0 && value <= MOST_REPEATS) {
      value = 10 * value + Character.digit(text.charAt(at++), 10);
    }
    if (at == start || value > MOST_REPEATS) {
      throw new NotPlainException();
    }
    return value;
  }

  private char take() {
    if (at == text.length()) {
      throw new NotPlainException();
    }
    return text.charAt(at++);
  }
}
