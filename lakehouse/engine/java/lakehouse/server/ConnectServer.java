package lakehouse.server;

import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.connect.service.SparkConnectService;
import org.apache.spark.sql.connect.service.SparkConnectService$;

/**
 * A Spark Connect server as Spark's own, which does not set by itself that each session has a loader of classes.
 *
 * <p>Such loaders keep apart what archives sessions bring. Compiled queries are kept by loader as well, so each drain
 * began with code that Java had to get to know anew: five to seven seconds of processor.
 */
public final class ConnectServer {
  private ConnectServer() {}

  /** Serve until the process ends. */
  public static void main(String[] none) throws InterruptedException {
    SparkSession session = SparkSession.builder().getOrCreate();
    try {
      SparkConnectService.start(session.sparkContext());
      SparkConnectService$.MODULE$.server().awaitTermination();
    } finally {
      session.stop();
    }
  }
}
