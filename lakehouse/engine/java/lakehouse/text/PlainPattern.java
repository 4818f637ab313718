package lakehouse.text;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A regular expression for whole texts as a table that is looked up byte by byte, for texts of printable ASCII.
 *
 * <p>The table is the deterministic automaton of the expression, made by the construction of Thompson and of Rabin and
 * Scott. Which expressions there is one for, {@link PatternReader} says.
 */
final class PlainPattern {
  /** What is said of a text. */
  enum Answer {
    YES,
    NO,
    /** It has something besides printable ASCII where that matters. */
    UNKNOWN
  }

  static final int FIRST = ' ';
  static final int LAST = '~';

  private static final int WIDTH = LAST - FIRST + 1;
  private static final int MOST_STATES = 1_000;
  private static final int NOWHERE = -1;

  /** For each state and printable byte the next state. */
  private final short[] next;
  private final boolean[] isEnd;

  private PlainPattern(short[] next, boolean[] isEnd) {
    this.next = next;
    this.isEnd = isEnd;
  }

  /** The table of an expression, or null where there is none: it says too much, or needs too many states. */
  static PlainPattern of(String expression) {
    PatternReader.Node whole = PatternReader.read(expression);
    Paths paths = new Paths();
    int end = whole == null ? NOWHERE : paths.append(whole, paths.add());
    return end == NOWHERE ? null : table(paths, end);
  }

  Answer ask(byte[] bytes, int start, int end) {
    int state = 0;
    for (int i = start; i < end; i++) {
      int letter = bytes[i] - FIRST;
      if (letter < 0 || letter >= WIDTH) {
        return Answer.UNKNOWN;
      }
      state = next[state * WIDTH + letter];
      if (state == NOWHERE) {
        // Whatever follows, a text that begins like this is none.
        return Answer.NO;
      }
    }
    return isEnd[state] ? Answer.YES : Answer.NO;
  }

  private static PlainPattern table(Paths paths, int end) {
    Map<BitSet, Integer> numbers = new HashMap<>();
    List<BitSet> states = new ArrayList<>();
    BitSet first = new BitSet();
    first.set(0);
    states.add(paths.reached(first));
    numbers.put(states.get(0), 0);
    List<short[]> rows = new ArrayList<>();
    for (int state = 0; state < states.size(); state++) {
      short[] row = new short[WIDTH];
      for (int letter = 0; letter < WIDTH; letter++) {
        BitSet after = paths.after(states.get(state), letter);
        row[letter] = NOWHERE;
        if (!after.isEmpty()) {
          Integer known = numbers.putIfAbsent(after, states.size());
          if (known == null) {
            states.add(after);
          }
          row[letter] = numbers.get(after).shortValue();
        }
      }
      rows.add(row);
      if (states.size() > MOST_STATES) {
        return null;
      }
    }
    short[] next = new short[rows.size() * WIDTH];
    boolean[] isEnd = new boolean[rows.size()];
    for (int state = 0; state < rows.size(); state++) {
      System.arraycopy(rows.get(state), 0, next, state * WIDTH, WIDTH);
      isEnd[state] = states.get(state).get(end);
    }
    return new PlainPattern(next, isEnd);
  }

  /** Steps that an expression allows: from each place one with certain letters, or some without any. */
  private static final class Paths {
    private final List<BitSet> letters = new ArrayList<>();
    private final List<Integer> targets = new ArrayList<>();
    private final List<List<Integer>> free = new ArrayList<>();

    int add() {
      letters.add(null);
      targets.add(NOWHERE);
      free.add(new ArrayList<>());
      return letters.size() - 1;
    }

    /** The place behind a part that begins at a place; NOWHERE once there are too many of them. */
    int append(PatternReader.Node part, int from) {
      if (from == NOWHERE || letters.size() > MOST_STATES) {
        return NOWHERE;
      }
      if (part instanceof PatternReader.Letters set) {
        int to = add();
        // A place takes one step with letters: this one has a place of its own.
        int own = add();
        free.get(from).add(own);
        letters.set(own, set.which());
        targets.set(own, to);
        return to;
      }
      if (part instanceof PatternReader.Sequence sequence) {
        int at = from;
        for (PatternReader.Node each : sequence.parts()) {
          at = append(each, at);
        }
        return at;
      }
      if (part instanceof PatternReader.Choice choice) {
        int to = add();
        for (PatternReader.Node each : choice.parts()) {
          int end = append(each, from);
          if (end == NOWHERE) {
            return NOWHERE;
          }
          free.get(end).add(to);
        }
        return to;
      }
      return appendRepeat((PatternReader.Repeat) part, from);
    }

    private int appendRepeat(PatternReader.Repeat repeat, int from) {
      int at = from;
      for (int i = 0; i < repeat.least(); i++) {
        at = append(repeat.part(), at);
      }
      if (repeat.most() == PatternReader.WITHOUT_END) {
        int loop = add();
        int end = at == NOWHERE ? NOWHERE : append(repeat.part(), loop);
        if (end == NOWHERE) {
          return NOWHERE;
        }
        free.get(at).add(loop);
        free.get(end).add(loop);
        return loop;
      }
      int to = add();
      for (int i = repeat.least(); i < repeat.most() && at != NOWHERE; i++) {
        free.get(at).add(to);
        at = append(repeat.part(), at);
      }
      if (at == NOWHERE) {
        return NOWHERE;
      }
      free.get(at).add(to);
      return to;
    }

    BitSet after(BitSet places, int letter) {
      BitSet reached = new BitSet();
      for (int place = places.nextSetBit(0); place >= 0; place = places.nextSetBit(place + 1)) {
        if (letters.get(place) != null && letters.get(place).get(letter)) {
          reached.set(targets.get(place));
        }
      }
      return reached(reached);
    }

    /** These places and those that steps without letters lead to. */
    BitSet reached(BitSet places) {
      BitSet all = (BitSet) places.clone();
      Deque<Integer> left = new ArrayDeque<>(places.stream().boxed().toList());
      while (!left.isEmpty()) {
        for (int place : free.get(left.pop())) {
          if (!all.get(place)) {
            all.set(place);
            left.push(place);
          }
        }
      }
      return all;
    }
  }
}
