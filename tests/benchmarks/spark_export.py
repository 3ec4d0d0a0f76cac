"""A table by Spark's JDBC reader into Parquet: `spark_export.py URL JAR TABLE ROWS PARTS DIRECTORY`."""

from __future__ import annotations

import sys

from pyspark.sql import SparkSession


def main(url: str, jar: str, table: str, rows: str, parts: str, directory: str) -> None:
    """Read in parts of the numbers in `id`, and write."""
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.jars", jar)
        .config("spark.driver.memory", "4g")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    reader = session.read.format("jdbc").options(
        url=url,
        dbtable=table,
        user="postgres",
        driver="org.postgresql.Driver",
        fetchsize="10000",
        partitionColumn="id",
        lowerBound="0",
        upperBound=str(2 * int(rows)),
        numPartitions=parts,
    )
    reader.load().write.mode("overwrite").parquet(directory)
    session.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
