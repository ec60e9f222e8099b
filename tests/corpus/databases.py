"""Passwords in database URLs, connection strings and command lines."""

from __future__ import annotations

from tests.corpus.draw import Draw
from tests.corpus.recipe import Recipe, table

SCHEMES = (
    "postgres postgresql mysql mariadb mongodb redis rediss amqp amqps mssql sqlserver oracle cockroachdb clickhouse "
    "cassandra couchbase neo4j bolt nats kafka ldap ldaps smtp smtps ftp sftp ssh http https mqtt"
).split()
_ROWS = """
jdbc-url-password | jdbc:postgresql://{w}:5432/{w}?user={w}&password=«{n:14}»
jdbc-url-password/semicolon | jdbc:sqlserver://{w}:1433;databaseName={w};user=sa;password=«{n:14}»;encrypt=true
jdbc-url-password/oracle | jdbc:oracle:thin:{w}/«{n:14}»@//{w}:1521/ORCL
adonet-connection-string | Server={w};Database={w};User Id={w};Password=«{n:9}!{n:6}»;Encrypt=True
adonet-connection-string/pwd | Data Source={w};Initial Catalog={w};Uid={w};Pwd=«{n:16}»;
odbc-pwd | DRIVER={ODBC Driver 18 for SQL Server};SERVER={w};UID={w};PWD={«{n:12};{n:4}»}
odbc-pwd/bare | DRIVER=FreeTDS;SERVER={w};UID={w};PWD=«{n:16}»;TDS_Version=8.0
mongodb-srv | mongodb+srv://{w}:«{n:18}»@{w}.x1y2z.mongodb.net/{w}?retryWrites=true
redis-url-no-user | redis://:«{n:20}»@{w}:6379/0
redis-url-no-user/tls | rediss://default:«{n:20}»@{w}.upstash.io:6379
sqlalchemy-repr | postgresql+psycopg2://{w}:«{n:15}»@{w}:5432/{w}
sqlalchemy-repr/async | mysql+aiomysql://{w}:«{n:15}»@{w}/{w}?charset=utf8mb4
libpq-keyword-dsn | host={w} port=5432 user={w} password=«{n:14}» dbname={w} sslmode=require
libpq-keyword-dsn/quoted | host={w} user={w} password='«{n:6} {n:6}»' dbname={w}
cli-password-flag | mysql -h {w} -u {w} -p«{n:12}» {w}
cli-password-flag/long | mysqldump --user={w} --password=«{n:12}» {w}
cli-password-flag/space | vault login --password «{n:14}» --method userpass
cli-password-flag/env | PGPASSWORD=«{n:12}» psql -h {w} -U {w}
cli-password-flag/sshpass | sshpass -p «{n:12}» ssh root@{w}
cli-password-flag/curl | curl -u {w}:«{n:14}» https://{w}.internal/api
azure-sql-conn | Server=tcp:{w}.database.windows.net,1433;Initial Catalog={w};User ID={w};Password=«{n:10}!{n:4}»;Encrypt=True
"""


def _url(draw: Draw) -> str:
    return draw.shape(
        f"{draw.choice(SCHEMES)}://{{w}}:«{{n:8-24}}»@{{w}}.{{w}}.internal:{draw.randint(1024, 9999)}/{{w}}"
    )


def _url_special(draw: Draw) -> str:
    secret = draw.chars("n", 6) + draw.choice(["%40", "%23", "%2F", "$", "!", "~"]) + draw.chars("n", 6)
    return draw.shape("postgresql://{w}:«") + secret + draw.shape("»@{w}:5432/{w}?sslmode=disable")


def _url_at(draw: Draw) -> str:
    return draw.shape("mysql://{w}:«{n:6}@{n:6}»@{w}:3306/{w}")


def _sentence(draw: Draw) -> str:
    return draw.shape(
        f"could not connect to {draw.choice(SCHEMES)}://{{w}}:«{{n:12}}»@{{w}}:{draw.randint(1024, 9999)}: timeout"
    )


RECIPES = (
    *table("db-url", _ROWS),
    Recipe("db-url-credentials", "db-url", _url),
    Recipe("db-url-credentials/special", "db-url", _url_special),
    Recipe("db-url-credentials/at-sign", "db-url", _url_at),
    Recipe("db-url-credentials/sentence", "db-url", _sentence),
)
