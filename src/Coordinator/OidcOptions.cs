namespace Lamina.Coordinator;

/// <summary>An OpenID Connect issuer whose access tokens (signed JWTs) are taken as <c>Authorization: Bearer</c> beside keys.</summary>
public sealed record OidcOptions
{
    /// <summary>The issuer; its signing keys come from <c>AUTHORITY/.well-known/openid-configuration</c>.</summary>
    public required string Authority { get; init; }

    /// <summary>What a token's <c>aud</c> must hold.</summary>
    public required string Audience { get; init; }

    /// <summary>The claim that names the tenant. A token without it, or with several, is refused.</summary>
    public string TenantClaim { get; init; } = "tenant";

    /// <summary>The claim that lists scopes, separated by blanks or as an array: inference, usage, admin. Others are passed over.</summary>
    public string ScopeClaim { get; init; } = "scope";

    /// <summary>What stands before this program's scopes in the claim, such as <c>lamina:</c>.</summary>
    public string ScopePrefix { get; init; } = "";

    /// <summary>PEM file of roots that the issuer's certificate must end in; null = the machine's own.</summary>
    public string? RootsPath { get; init; }
}
