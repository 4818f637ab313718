package lakehouse.kafka;

import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.common.TopicPartition;

/** Consumers that wait for the next read of their owner: a new one costs connections and a look at the topic. */
final class Consumers {
  private static final Map<Place, Set<Waiting>> WAITING = new HashMap<>();
  private static final ScheduledThreadPoolExecutor CLOSING = closing();

  private Consumers() {}

  private record Place(Owner owner, TopicPartition partition) {}

  private record Waiting(PartitionConsumer consumer, long since) {}

  /** A consumer that reads on from an offset, for the caller alone. */
  static PartitionConsumer take(Owner owner, TopicPartition partition, long offset) {
    PartitionConsumer known = waiting(new Place(owner, partition), offset);
    PartitionConsumer consumer = known == null ? new PartitionConsumer(partition, owner) : known;
    consumer.goTo(offset);
    return consumer;
  }

  /** Of several the one that is at this offset already, else any; null when none waits. */
  private static synchronized PartitionConsumer waiting(Place place, long offset) {
    Waiting best = null;
    for (Waiting each : WAITING.getOrDefault(place, Set.of())) {
      if (best == null || each.consumer.isAt(offset)) {
        best = each;
      }
    }
    return best != null && remove(place, best) ? best.consumer : null;
  }

  /** Whether it was still waiting; it is not afterwards. */
  private static boolean remove(Place place, Waiting waiting) {
    Set<Waiting> all = WAITING.get(place);
    if (all == null || !all.remove(waiting)) {
      return false;
    }
    if (all.isEmpty()) {
      WAITING.remove(place);
    }
    return true;
  }

  /** The caller is done with it. */
  static void giveBack(Owner owner, PartitionConsumer consumer) {
    if (!consumer.isSound()) {
      consumer.close();
      return;
    }
    Place place = new Place(owner, consumer.partition());
    Waiting waiting = new Waiting(consumer, System.nanoTime());
    synchronized (Consumers.class) {
      WAITING.computeIfAbsent(place, any -> new LinkedHashSet<>()).add(waiting);
    }
    CLOSING.schedule(() -> close(place, waiting), owner.keep().toMillis(), TimeUnit.MILLISECONDS);
  }

  private static void close(Place place, Waiting waiting) {
    boolean isUnused;
    synchronized (Consumers.class) {
      isUnused = remove(place, waiting);
    }
    if (isUnused) {
      waiting.consumer.close();
    }
  }

  private static ScheduledThreadPoolExecutor closing() {
    ScheduledThreadPoolExecutor thread =
        new ScheduledThreadPoolExecutor(
            1,
            work -> {
              Thread made = new Thread(work, "lakehouse-kafka-consumers");
              made.setDaemon(true);
              return made;
            });
    // Without work it ends, and with it the last that holds a session's classes.
    thread.setKeepAliveTime(1, TimeUnit.SECONDS);
    thread.allowCoreThreadTimeOut(true);
    return thread;
  }
}
