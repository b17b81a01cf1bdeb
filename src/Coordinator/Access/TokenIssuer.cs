using System.Net.Security;
using System.Security.Claims;
using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Messages;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

namespace Lamina.Coordinator.Access;

/// <summary>
/// Checks tokens of the configured issuer: signature by one of its published keys, issuer, audience, time, and exactly one tenant, which the database must know.
/// The keys are fetched when first needed and again when a token names an unknown one, at most every half minute.
/// </summary>
public sealed class TokenIssuer
{
    private const int MaxTokenLength = 8192;

    private static readonly TimeSpan s_clockSkew = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_fetchDeadline = TimeSpan.FromSeconds(5);

    private readonly OidcOptions _options;
    private readonly KeyRing _ring;
    private readonly JsonWebTokenHandler _handler = new() { MapInboundClaims = false, MaximumTokenSizeInBytes = MaxTokenLength };
    private readonly TokenValidationParameters _rules;

    public TokenIssuer(OidcOptions options, KeyRing ring)
    {
        _options = options;
        _ring = ring;
        bool https = options.Authority.StartsWith("https:", StringComparison.Ordinal);
        var http = new HttpClient(Handler(options.RootsPath)) { Timeout = s_fetchDeadline, MaxResponseContentBufferSize = 1 << 20 };
        var configuration = new ConfigurationManager<OpenIdConnectConfiguration>(
            options.Authority.TrimEnd('/') + "/.well-known/openid-configuration",
            new OpenIdConnectConfigurationRetriever(),
            new HttpDocumentRetriever(http) { RequireHttps = https })
        {
            RefreshInterval = TimeSpan.FromSeconds(30),
        };
        _rules = new TokenValidationParameters
        {
            ConfigurationManager = configuration,
            ValidIssuer = options.Authority,
            ValidAudience = options.Audience,
            RequireSignedTokens = true,
            RequireExpirationTime = true,
            ClockSkew = s_clockSkew,

            // Signatures of key pairs only: with a shared secret, whoever checks could also issue.
            ValidAlgorithms =
            [
                SecurityAlgorithms.EcdsaSha256, SecurityAlgorithms.EcdsaSha384, SecurityAlgorithms.EcdsaSha512, SecurityAlgorithms.RsaSha256, SecurityAlgorithms.RsaSha384,
                SecurityAlgorithms.RsaSha512, SecurityAlgorithms.RsaSsaPssSha256, SecurityAlgorithms.RsaSsaPssSha384, SecurityAlgorithms.RsaSsaPssSha512,
            ],
        };
    }

    /// <summary>Whether a text has a token's form: three parts.</summary>
    public static bool LooksLikeOne(ReadOnlySpan<char> text) => text.Length <= MaxTokenLength && text.Count('.') == 2;

    /// <summary>For whom the token speaks, in the form of a key; or why it is refused.</summary>
    public async Task<(ApiKey? Key, KeyRefusal? Refusal)> AuthenticateAsync(string token, CancellationToken cancellation)
    {
        TokenValidationResult result = await _handler.ValidateTokenAsync(token, _rules).WaitAsync(cancellation);
        if (!result.IsValid || result.SecurityToken is not JsonWebToken { Subject.Length: > 0 } checkedToken)
        {
            return (null, result.Exception is SecurityTokenExpiredException ? KeyRefusal.Expired : KeyRefusal.Unknown);
        }

        string[] tenants = [.. result.ClaimsIdentity.FindAll(_options.TenantClaim).Select(claim => claim.Value)];
        if (tenants.Length != 1 || !Names.IsValid(tenants[0]))
        {
            return (null, KeyRefusal.Unknown);
        }

        var tenant = new TenantId(tenants[0]);
        string subject = TokenSubject.Of(checkedToken.Subject);
        return _ring.RefusalOf(subject, tenant) is { } refusal
            ? (null, refusal)
            : (new ApiKey(subject, tenant, "", Scopes(result.ClaimsIdentity), checkedToken.IssuedAt, checkedToken.ValidTo, null, null, null), null);
    }

    private KeyScopes Scopes(ClaimsIdentity identity)
    {
        KeyScopes scopes = KeyScopes.None;
        foreach (string name in identity.FindAll(_options.ScopeClaim).SelectMany(claim => claim.Value.Split(' ', StringSplitOptions.RemoveEmptyEntries)))
        {
            if (name.StartsWith(_options.ScopePrefix, StringComparison.Ordinal) && KeyScopeNames.TryParse(name[_options.ScopePrefix.Length..], out KeyScopes scope))
            {
                scopes |= scope;
            }
        }

        return scopes;
    }

    private static SocketsHttpHandler Handler(string? roots)
    {
        var handler = new SocketsHttpHandler { AllowAutoRedirect = false, PooledConnectionLifetime = TimeSpan.FromMinutes(5) };
        if (roots is not null)
        {
            var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            policy.CustomTrustStore.ImportFromPemFile(roots);
            handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = policy };
        }

        return handler;
    }
}
