"""Cloud providers and platforms."""

from __future__ import annotations

import base64

from tests.corpus.draw import Draw
from tests.corpus.recipe import Recipe, table

_ROWS = """
aws-access-key-id | {=AKIA|AKIA|ASIA|ABIA|ACCA}{b32:16}
aws-secret-access-key | {b:40} | aws secret access key, aws secret key, aws secret
aws-secret-access-key/near-id | AKIA{b32:16} «{b:40}»
aws-session-token | {=FwoGZXIvYXdz|IQoJb3JpZ2luX2Vj|FQoGZXIvYXdz}{b:240-420}=
aws-presigned-url-signature | https://{w}.s3.amazonaws.com/{w}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=900&X-Amz-Signature=«{x:64}»&X-Amz-SignedHeaders=host
aws-presigned-url-signature/legacy | https://{w}.s3.amazonaws.com/{w}?AWSAccessKeyId=«AKIA{b32:16}»&Expires=1700000000&Signature=«{n:27}%3D»
aws-bedrock-api-key-short | bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t{b:120-400}
aws-mws-token | amzn.mws.{uuid}
gcp-api-key | AIza{u:35}
gcp-oauth-client-secret | GOCSPX-{u:28}
google-oauth-access-token | ya29.a0{u:120-200}
google-oauth-refresh-token | 1//0{u:60-100} | google refresh token, oauth refresh token
gcp-oauth-authorization-code | 4/0{u:70} | google auth code, authorization code
gcs-hmac-access-id | GOOG1E{A:55}
gcs-hmac-secret | {b:40} | gcs hmac secret, goog secret key
recaptcha-key | 6L{u:38} | recaptcha secret, recaptcha key
firebase-cloud-messaging-key | AAAA{u:7}:APA91b{u:134}
azure-ad-client-secret | {n:3}{d:1}Q~{n:31}
azure-ad-client-secret/any | {n:3}{d:1}Q~{u:34}
azure-storage-account-key | AccountKey=«{b:85}A==»
azure-sas-token | https://{w}.blob.core.windows.net/c/{w}?sv=2022-11-02&se=2031-01-01T00%3A00%3A00Z&sr=b&sp=r&sig=«{n:40}%2F{n:2}%3D»
azure-storage-connection-string | DefaultEndpointsProtocol=https;AccountName={w};AccountKey=«{b:85}w==»;EndpointSuffix=core.windows.net
azure-service-bus-connection | Endpoint=sb://{w}.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=«{b:42}8=»
azure-cosmosdb-key | AccountEndpoint=https://{w}.documents.azure.com:443/;AccountKey=«{b:85}Q==»;
azure-devops-pat | {l32:52} | azure devops pat, azure devops token, ado pat
azure-devops-pat/new | {n:75}AZDO{n:5}
azure-cask-key | {n:52}JQQJ99{n:26}
azure-function-key | {u:44}AzFu{u:5}{=A|Q|g|w}==
azure-search-key | {n:42}AzSe{=A|B|C|D}{n:5}
azure-container-registry-key | {n:42}+ACR{=A|B|C|D}{n:5}
azure-redis-key | {n:33}AzCa{=A|B|C|D|E|P}{n:5}=
azure-apim-key | {x:32} | ocp apim subscription key, apim subscription key
azure-publish-password | <publishProfile userName="${w}" userPWD="«{n:60}»" />
alibaba-access-key-id | LTAI{n:20}
alibaba-secret-key | {n:30} | alibaba secret key, aliyun access key secret, alicloud secret key
tencent-cloud-secret-id | AKID{n:32}
tencent-cloud-secret-id/key | {n:32} | tencent secret key, tencentcloud secret key
huawei-cloud-ak | {A:20} | huawei access key, huaweicloud ak, huaweicloud access key
huawei-cloud-ak/sk | {n:40} | huawei secret key, huaweicloud sk
digitalocean-pat | dop_v1_{x:64}
digitalocean-oauth-token | doo_v1_{x:64}
digitalocean-refresh-token | dor_v1_{x:64}
digitalocean-spaces-key | DO00{A:16}
digitalocean-spaces-key/newer | DO801{A:15}
digitalocean-spaces-key/secret | {b:43} | digitalocean spaces secret, spaces secret key
heroku-api-key | HRKU-AA{u:58}
heroku-api-key/legacy | {uuid} | heroku api key, heroku key
flyio-token | fo1_{u:43}
flyio-token/macaroon | {=fm1r_|fm1a_|fm2_}{b:120-240}
linode-token | {x:64} | linode token, linode api key
scaleway-secret | {uuid} | scaleway secret key, scw secret key
scaleway-secret/access | SCW{A:17} | scaleway access key, scw access key
scalingo-token | tk-us-{u:48}
ovh-keys | {n:32} | ovh application secret, ovh consumer key
ibm-cloud-iam-key | {u:44} | ibm cloud api key, ibm iam key, bluemix api key
ibm-cos-hmac | {x:48} | ibm cos hmac secret, cos hmac secret access key
cloudflare-api-token | {u:40} | cloudflare api token, cf api token, cloudflare token
cloudflare-global-api-key | {x:37} | cloudflare api key, cloudflare global key
cloudflare-origin-ca-key | v1.0-{x:24}-{x:146}
fastly-token | {u:32} | fastly api token, fastly key, fastly token
vercel-token | {=vcp_|vck_}{n:56}
vercel-token/legacy | {n:24} | vercel token, vercel api key
netlify-token | nfp_{n:36}
netlify-token/legacy | {u:43} | netlify auth token, netlify token
render-api-key | rnd_{n:28}
railway-token | {uuid} | railway token, railway api token
supabase-key | sbp_{x:40}
supabase-key/secret | sb_secret_{u:31}
planetscale-password | pscale_pw_{u:43}
planetscale-token | pscale_tkn_{u:43}
planetscale-oauth | pscale_oauth_{u:43}
neon-api-key | napi_{a:64}
clickhouse-cloud-secret | 4b1d{n:38}
databricks-token | dapi{x:32}
databricks-token/numbered | dapi{x:32}-2
snowflake-pat | {n:120} | snowflake token, snowflake pat
terraform-cloud-token | {n:14}.atlasv1.{u:67}
vault-service-token | hvs.{u:95}
vault-service-token/legacy | s.{n:24} | vault token
vault-batch-token | hvb.{u:160}
vault-recovery-token | hvr.{u:95}
consul-token | {uuid} | consul token, x consul token, consul http token
nomad-token | {uuid} | nomad token, x nomad token
pulumi-token | pul-{x:40}
doppler-token | dp.{=pt|ct|sa|scim|audit}.{n:43}
doppler-token/service | dp.st.{=dev|prd|stg}.{n:43}
infracost-token | ico-{n:32}
openshift-user-token | sha256~{u:43}
kubernetes-bootstrap-token | {a:6}.{a:16} | bootstrap token, kubeadm token
docker-pat | dckr_pat_{u:27}
docker-pat/org | dckr_oat_{u:32}
"""


def _bedrock(draw: Draw) -> str:
    raw = f"BedrockAPIKey-{draw.chars('a', 4)}-at-{draw.digits(12)}:".encode() + draw.randbytes(60)
    return "ABSK" + base64.b64encode(raw).decode()


def _service_account(draw: Draw) -> str:
    body = "\\n".join(draw.chars("b", 64) for _ in range(12))
    key = f"«-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBg{body}\\n-----END PRIVATE KEY-----\\n»"
    return (
        draw.shape(
            '{"type": "service_account", "project_id": "{w}", "private_key": "%s", "client_email": "{w}"}'
        )
        % key
    )


def _secret_manifest(draw: Draw) -> str:
    value = base64.b64encode(draw.chars("p", 18).encode()).decode()
    return f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {draw.choice(['db', 'web'])}\ndata:\n  config: «{value}»\n"


def _docker_auth(draw: Draw) -> str:
    value = base64.b64encode(f"{draw.words(1)}:{draw.chars('n', 20)}".encode()).decode()
    return f'{{"auths":{{"registry.{draw.words(1)}.io":{{"auth":"«{value}»"}}}}}}'


RECIPES = (
    *table("cloud", _ROWS),
    Recipe("aws-bedrock-api-key-long", "cloud", _bedrock),
    Recipe("gcp-service-account-json", "cloud", _service_account, inline=False),
    Recipe("kubernetes-secret-manifest", "cloud", _secret_manifest, inline=False),
    Recipe("docker-config-auth", "cloud", _docker_auth, inline=False),
)
