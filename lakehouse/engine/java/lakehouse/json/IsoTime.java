package lakehouse.json;

import java.time.LocalDate;
import java.time.YearMonth;
import org.apache.spark.unsafe.types.UTF8String;

/**
 * Dates and times as most producers write them, {@code 2026-11-20T12:00:00.123Z}; null for every other form.
 *
 * <p>Without a zone a time is UTC, as our sessions have it.
 */
final class IsoTime {
  /** Earlier dates need a decision about calendars. */
  private static final int FIRST_YEAR = 1900;
  private static final int DATE_BYTES = 10;
  private static final int SECONDS_BYTES = 19;
  private static final int MICRO_DIGITS = 6;
  private static final int NANO_DIGITS = 9;
  private static final int NONE = Integer.MIN_VALUE;

  private IsoTime() {}

  /** Days since 1970. */
  static Integer days(UTF8String text) {
    if (text == null || text.numBytes() != DATE_BYTES) {
      return null;
    }
    long day = day(text);
    return day == NONE ? null : (Integer) (int) day;
  }

  /** Microseconds since 1970; digits beyond them are left out. */
  static Long micros(UTF8String text) {
    if (text == null || text.numBytes() < SECONDS_BYTES) {
      return null;
    }
    long day = day(text);
    int hour = number(text, 11, 2);
    int minute = number(text, 14, 2);
    int second = number(text, 17, 2);
    byte between = text.getByte(DATE_BYTES);
    boolean isTime = (between == 'T' || between == ' ') && text.getByte(13) == ':' && text.getByte(16) == ':';
    if (day == NONE || !isTime || isNot(hour, 23) || isNot(minute, 59) || isNot(second, 59)) {
      return null;
    }
    int zone = SECONDS_BYTES;
    long fraction = 0;
    if (zone < text.numBytes() && text.getByte(zone) == '.') {
      int start = ++zone;
      for (; zone < text.numBytes() && isDigit(text.getByte(zone)); zone++) {
        if (zone < start + MICRO_DIGITS) {
          fraction = fraction * 10 + text.getByte(zone) - '0';
        }
      }
      if (zone == start || zone > start + NANO_DIGITS) {
        return null;
      }
      for (int digit = zone; digit < start + MICRO_DIGITS; digit++) {
        fraction *= 10;
      }
    }
    int offset = offsetMinutes(text, zone);
    if (offset == NONE) {
      return null;
    }
    long minutes = (day * 24 + hour) * 60 + minute - offset;
    return (minutes * 60 + second) * 1_000_000L + fraction;
  }

  private static long day(UTF8String text) {
    int year = number(text, 0, 4);
    int month = number(text, 5, 2);
    int day = number(text, 8, 2);
    boolean isDate = text.getByte(4) == '-' && text.getByte(7) == '-' && year >= FIRST_YEAR && month >= 1 && day >= 1;
    if (!isDate || month > 12 || day > 28 && day > YearMonth.of(year, month).lengthOfMonth()) {
      return NONE;
    }
    return LocalDate.of(year, month, day).toEpochDay();
  }

  private static int offsetMinutes(UTF8String text, int zone) {
    int left = text.numBytes() - zone;
    if (left == 0 || left == 1 && text.getByte(zone) == 'Z') {
      return 0;
    }
    if (left != 6 || text.getByte(zone + 3) != ':') {
      return NONE;
    }
    int hours = number(text, zone + 1, 2);
    int minutes = number(text, zone + 4, 2);
    byte sign = text.getByte(zone);
    if (sign != '+' && sign != '-' || isNot(hours, 17) || isNot(minutes, 59)) {
      return NONE;
    }
    return sign == '+' ? hours * 60 + minutes : -hours * 60 - minutes;
  }

  /** The number that so many digits make; -1 where one of them is none. */
  private static int number(UTF8String text, int start, int count) {
    int value = 0;
    for (int i = start; i < start + count; i++) {
      byte octet = text.getByte(i);
      if (!isDigit(octet)) {
        return -1;
      }
      value = value * 10 + octet - '0';
    }
    return value;
  }

  private static boolean isNot(int value, int most) {
    return value < 0 || value > most;
  }

  private static boolean isDigit(byte octet) {
    return octet >= '0' && octet <= '9';
  }
}
