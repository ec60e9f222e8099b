"""Harmless lines of clusters, supercomputers, phones, desktops and distributed systems, in the shapes that log research collects."""

from __future__ import annotations

from tests.corpus.draw import Draw
from tests.corpus.harmless_values import instant
from tests.corpus.network import ipv4


def distributed(draw: Draw) -> str:
    """HDFS, Hadoop, Spark, ZooKeeper, HBase, OpenStack."""
    when, block = instant(draw), f"blk_{draw.choice(['', '-'])}{draw.getrandbits(62)}"
    return draw.choice([
        lambda: f"{when:%y%m%d %H%M%S} {draw.randrange(9999)} INFO dfs.DataNode$PacketResponder: PacketResponder {draw.randrange(3)} for block {block} terminating", lambda: f"{when:%y%m%d %H%M%S} {draw.randrange(99)} INFO dfs.FSNamesystem: BLOCK* NameSystem.addStoredBlock: blockMap updated: {ipv4(draw)}:50010 is added to {block} size {draw.randrange(10**8)}",
        lambda: f"{when:%Y-%m-%d %H:%M:%S},{draw.digits(3)} INFO [main] org.apache.hadoop.mapreduce.v2.app.MRAppMaster: Created MRAppMaster for application appattempt_15{draw.digits(11)}_{draw.digits(4)}_000001", lambda: f"{when:%Y-%m-%d %H:%M:%S},{draw.digits(3)} INFO [main] org.apache.hadoop.mapreduce.v2.app.MRAppMaster: Kind: YARN_AM_RM_TOKEN, Service: , Ident: (appAttemptId {{ application_id {{ id: {draw.randrange(99)} cluster_timestamp: 15{draw.digits(11)} }} attemptId: 1 }} keyId: {draw.randrange(10**9)})",
        lambda: f"{when:%y/%m/%d %H:%M:%S} INFO storage.BlockManager: Found block rdd_{draw.randrange(99)}_{draw.randrange(99)} locally", lambda: f"{when:%y/%m/%d %H:%M:%S} INFO executor.Executor: Finished task {draw.randrange(99)}.0 in stage {draw.randrange(99)}.0 (TID {draw.randrange(9999)}). {draw.randrange(9999)} bytes result sent to driver",
        lambda: f"{when:%Y-%m-%d %H:%M:%S},{draw.digits(3)} - INFO  [NIOServerCxn.Factory:0.0.0.0/0.0.0.0:2181:NIOServerCnxn@1001] - Closed socket connection for client /{ipv4(draw)}:{draw.randrange(65536)} which had sessionid 0x{draw.chars('x', 15)}", lambda: f"{when:%Y-%m-%d %H:%M:%S},{draw.digits(3)} - WARN  [SendWorker:{draw.randrange(10**12)}:QuorumCnxManager$SendWorker@679] - Interrupted while waiting for message on queue",
        lambda: f"nova-api.log.1.2017-05-16_13:53:08 {when:%Y-%m-%d %H:%M:%S}.{draw.digits(3)} {draw.randrange(99999)} INFO nova.osapi_compute.wsgi.server [req-{draw.uuid()} {draw.chars('x', 32)} {draw.chars('x', 32)} - - -] {ipv4(draw)} \"GET /v2/{draw.chars('x', 32)}/servers/detail HTTP/1.1\" status: 200 len: {draw.randrange(9999)} time: 0.{draw.digits(7)}",
        lambda: f"nova-compute.log {when:%Y-%m-%d %H:%M:%S}.{draw.digits(3)} 2931 INFO nova.compute.manager [-] [instance: {draw.uuid()}] VM Started (Lifecycle Event)",
    ])()  # fmt: skip


def supercomputers(draw: Draw) -> str:
    """Blue Gene, Thunderbird, HPC clusters."""
    when = instant(draw)
    node = f"R{draw.randrange(80):02d}-M{draw.randrange(2)}-N{draw.randrange(16)}-C:J{draw.randrange(18):02d}-U{draw.randrange(12):02d}"
    return draw.choice([
        lambda: f"- {int(when.timestamp())} {when:%Y.%m.%d} {node} {when:%Y-%m-%d-%H.%M.%S.%f} {node} RAS KERNEL INFO instruction cache parity error corrected", lambda: f"- {int(when.timestamp())} {when:%Y.%m.%d} {node} {when:%Y-%m-%d-%H.%M.%S.%f} {node} RAS KERNEL INFO generating core.{draw.randrange(9999)}", lambda: f"{draw.randrange(999999)} node-{draw.randrange(256)} unix.hw state_change.unavailable {int(when.timestamp())} 1 Component State Change: Component \\042alt0\\042 is in the unavailable state (HWID={draw.randrange(9999)})",
        lambda: f"- {int(when.timestamp())} {when:%Y.%m.%d} tbird-admin1 {when:%b %d %H:%M:%S} local@tbird-admin1 /apps/x86_64/system/ganglia/sbin/gmetad[{draw.randrange(9999)}]: data_thread() got not answer from any [Thunderbird_B8] datasource", lambda: f"- {int(when.timestamp())} dn{draw.randrange(999)} {when:%b %d %H:%M:%S} dn{draw.randrange(999)}/dn{draw.randrange(999)} crond(pam_unix)[{draw.randrange(9999)}]: session opened for user root by (uid=0)", lambda: f"slurmctld: sched: Allocate JobId={draw.randrange(10**7)} NodeList=node[{draw.randrange(99)}-{draw.randrange(999)}] #CPUs={draw.randrange(512)} Partition=batch",
    ])()  # fmt: skip


def devices(draw: Draw) -> str:
    """Phones, watches, desktops, laptops."""
    when = instant(draw)
    return draw.choice([
        lambda: f"{when:%m-%d %H:%M:%S}.{draw.digits(3)}  {draw.randrange(9999)}  {draw.randrange(9999)} D PowerManagerService: release:lock={draw.randrange(10**9)}, flg=0x0, tag=\"RILJ_ACK_WL\", name=com.android.phone\", ws=null, uid=1001, pid={draw.randrange(9999)}", lambda: f"{when:%m-%d %H:%M:%S}.{draw.digits(3)}  1702  2395 D WindowManager: printFreezingDisplayLogsopening app wtoken = AppWindowToken{{{draw.chars('x', 7)} token=Token{{{draw.chars('x', 7)} ActivityRecord{{{draw.chars('x', 7)} u0 com.tencent.qt.qtl/.activity.info.NewsDetailXmlActivity t761}}}}}}, allDrawn= false",
        lambda: f"{when:%Y%m%d-%H:%M:%S}:{draw.digits(3)}|Step_LSC|{draw.digits(8)}|onStandStepChanged {draw.randrange(9999)}", lambda: f"{when:%Y%m%d-%H:%M:%S}:{draw.digits(3)}|Step_SPUtils|{draw.digits(8)}|setTodayTotalDetailSteps=15{draw.digits(11)}##{draw.randrange(9999)}##{draw.randrange(999999)}##{draw.randrange(9999)}##{draw.randrange(999999)}##{draw.randrange(9999999)}", lambda: f"{when:%Y%m%d-%H:%M:%S}:{draw.digits(3)}|Step_StandReportReceiver|{draw.digits(8)}|REPORT : {draw.randrange(9999)} {draw.randrange(9999)} {draw.randrange(999999)} {draw.randrange(999)}",
        lambda: f"{when:%b %d %H:%M:%S} authorMacBook-Pro kernel[0]: ARPT: {draw.uniform(0, 10**6):.6f}: AirPort_Brcm43xx::syncPowerState: WWEN[enabled]", lambda: f"{when:%b %d %H:%M:%S} calvisitor-10-105-160-95 com.apple.cts[258]: com.apple.EscrowSecurityAlert.daily: scheduler_evaluate_activity told me to run this job; however, but the start time isn't for {draw.randrange(999999)} seconds.", lambda: f"{when:%b %d %H:%M:%S} Macs-MBP symptomsd[215]: __73-[NetworkAnalyticsEngine observeValueForKeyPath:ofObject:change:context:]_block_invoke unexpected switch value {draw.randrange(9)}",
        lambda: f"{when:%Y-%m-%d %H:%M:%S}, Info                  CBS    Loaded Servicing Stack v6.1.7601.{draw.randrange(99999)} with Core: C:\\Windows\\winsxs\\amd64_microsoft-windows-servicingstack_{draw.chars('x', 16)}_6.1.7601.{draw.randrange(99999)}_none_{draw.chars('x', 16)}\\cbscore.dll", lambda: f"{when:%Y-%m-%d %H:%M:%S}, Info                  CBS    SQM: Initializing online with Windows opt-in: False; Warning: Unrecognized packageExtended attribute. sessionid {draw.digits(8)}_{draw.digits(9)}",
        lambda: f"[{when:%m.%d %H:%M:%S}] chrome.exe - proxy.{draw.words(1)}.hk:5070 close, {draw.randrange(99999)} bytes sent, {draw.randrange(999999)} bytes (1.{draw.randrange(999)} KB) received, lifetime 00:{draw.randrange(60):02d}", lambda: f"-[{when:%H:%M:%S}] combo sshd(pam_unix)[{draw.randrange(99999)}]: authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost={ipv4(draw)} ", lambda: f"{when:%b %d %H:%M:%S} combo ftpd[{draw.randrange(99999)}]: connection from {ipv4(draw)} () at {when:%a %b %d %H:%M:%S %Y} ",
        lambda: f"{when:%b %d %H:%M:%S} LabSZ sshd[{draw.randrange(99999)}]: Received disconnect from {ipv4(draw)}: 11: Bye Bye [preauth]", lambda: f"{when:%b %d %H:%M:%S} LabSZ sshd[{draw.randrange(99999)}]: message repeated 5 times: [ Failed password for root from {ipv4(draw)} port {draw.randrange(65536)} ssh2]",
    ])()  # fmt: skip


MACHINES = (distributed, supercomputers, devices)
