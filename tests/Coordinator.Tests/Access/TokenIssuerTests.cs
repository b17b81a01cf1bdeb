using System.Text;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Quotas;
using Lamina.Coordinator.Tests.Support;
using Microsoft.IdentityModel.Tokens;

namespace Lamina.Coordinator.Tests.Access;

public sealed class TokenIssuerTests : IAsyncLifetime
{
    private readonly TestIssuer _issuer = new();
    private TestState _state = null!;
    private KeyRing _ring = null!;
    private TokenIssuer _checked = null!;

    public async ValueTask InitializeAsync()
    {
        _state = await TestState.CreateAsync();
        _ring = await _state.OpenRingAsync();
        _checked = new TokenIssuer(new OidcOptions { Authority = _issuer.Authority, Audience = TestIssuer.Audience }, _ring);
    }

    public async ValueTask DisposeAsync()
    {
        _issuer.Dispose();
        await _state.DisposeAsync();
    }

    [Fact]
    public async Task Token_OfTheIssuer_SpeaksForItsTenantWithItsScopes()
    {
        await IssuerIsKnownAsync();
        (ApiKey? key, KeyRefusal? refusal) = await AskAsync(_issuer.Token("alpha", "openid usage inference email"));

        Assert.Null(refusal);
        Assert.Equal((TestState.Alpha, "oidc:user-1", KeyScopes.Inference | KeyScopes.Usage), (key!.Tenant!.Value, key.Id, key.Scopes));
    }

    [Fact]
    public async Task Token_WithoutOneKnownTenant_IsRefused()
    {
        await IssuerIsKnownAsync();
        foreach (object? tenant in new object?[] { null, "nobody", "", "Alpha", "../alpha", new[] { "alpha", "beta" } })
        {
            Assert.NotNull((await AskAsync(_issuer.Token(tenant))).Refusal);
        }
    }

    [Fact]
    public async Task Token_NotMeantForUsOrNotSound_IsRefused()
    {
        await IssuerIsKnownAsync();
        Action<SecurityTokenDescriptor>[] changes =
        [
            token => token.Audience = "another service",
            token => token.Audience = null,
            token => token.Issuer = "http://evil.example",
            token => token.Expires = DateTime.UtcNow.AddMinutes(-2),
            token => token.Expires = null,
            token => token.NotBefore = DateTime.UtcNow.AddMinutes(2),
            token => token.SigningCredentials = new SigningCredentials(TestIssuer.NewKey(), SecurityAlgorithms.EcdsaSha256),
            token => token.SigningCredentials = null,
            token => token.Claims.Remove("sub"),

            // The issuer's public key as if it were a shared secret.
            token => token.SigningCredentials = new SigningCredentials(new SymmetricSecurityKey(_issuer.Key.ECDsa.ExportSubjectPublicKeyInfo()) { KeyId = _issuer.Key.KeyId }, SecurityAlgorithms.HmacSha256),
        ];
        foreach (Action<SecurityTokenDescriptor> change in changes)
        {
            Assert.NotNull((await AskAsync(_issuer.Token("alpha", change: change))).Refusal);
        }

        Assert.Null((await AskAsync(_issuer.Token("alpha"))).Refusal);
    }

    [Fact]
    public async Task Token_AnyPartChanged_IsRefused()
    {
        await IssuerIsKnownAsync();
        string token = _issuer.Token("alpha");
        string[] parts = token.Split('.');
        string payload = Base64UrlEncoder.Encode(Base64UrlEncoder.Decode(parts[1]).Replace("alpha", "beta", StringComparison.Ordinal));
        string unsigned = Base64UrlEncoder.Encode("""{"alg":"none"}""");

        foreach (string wrong in new[] { $"{parts[0]}.{payload}.{parts[2]}", $"{unsigned}.{parts[1]}.", $"{parts[0]}.{parts[1]}.", "a.b.c", "..", token + "x" })
        {
            Assert.NotNull((await AskAsync(wrong)).Refusal);
        }
    }

    [Fact]
    public async Task Token_OfASuspendedTenant_IsRefusedAndWhatItStartedEnds()
    {
        await IssuerIsKnownAsync();
        ApiKey caller = (await AskAsync(_issuer.Token("alpha"))).Key!;
        CancellationToken running = _ring.EndOf(caller.Id, caller.Tenant);
        CancellationToken others = _ring.EndOf(caller.Id, TestState.Beta);

        await _state.Tenants.SuspendAsync(TestState.Alpha, CancellationToken.None);
        await _ring.RefreshAsync(CancellationToken.None);

        Assert.Equal(KeyRefusal.TenantSuspended, (await AskAsync(_issuer.Token("alpha"))).Refusal);
        Assert.True(running.IsCancellationRequested);
        Assert.False(others.IsCancellationRequested);
    }

    /// <summary>Two tenants' users may bear the same name.</summary>
    [Fact]
    public async Task Token_OfASuspendedSubject_IsRefusedInThatTenantAlone()
    {
        await IssuerIsKnownAsync();
        ApiKey caller = (await AskAsync(_issuer.Token("alpha"))).Key!;
        CancellationToken running = _ring.EndOf(caller.Id, TestState.Alpha), others = _ring.EndOf(caller.Id, TestState.Beta);
        var store = new SuspensionStore(_state.Database);
        var suspension = new Suspension(SuspensionKind.Key, caller.Id, TestState.Alpha, "", DateTimeOffset.UtcNow);
        await store.SuspendAsync(suspension, CancellationToken.None);
        await _ring.RefreshAsync(CancellationToken.None);

        Assert.Equal(KeyRefusal.KeySuspended, (await AskAsync(_issuer.Token("alpha"))).Refusal);
        Assert.NotNull((await AskAsync(_issuer.Token("beta"))).Key);
        Assert.Equal((true, false), (running.IsCancellationRequested, others.IsCancellationRequested));
        var list = new SuspensionList([suspension]);
        Assert.Equal((suspension, null), (list.Of(TestState.Alpha, caller.Id, null), list.Of(TestState.Beta, caller.Id, null)));

        Assert.False(await store.LiftAsync(SuspensionKind.Key, caller.Id, TestState.Beta, CancellationToken.None));
        Assert.True(await store.LiftAsync(SuspensionKind.Key, caller.Id, TestState.Alpha, CancellationToken.None));
        await _ring.RefreshAsync(CancellationToken.None);
        Assert.NotNull((await AskAsync(_issuer.Token("alpha"))).Key);
    }

    [Fact]
    public async Task Issuer_RotatesItsKey_NewTokensAreTakenSoon()
    {
        await IssuerIsKnownAsync();
        _issuer.Rotate();
        string fresh = _issuer.Token("alpha");
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(120));
        while ((await AskAsync(fresh)).Refusal is not null)
        {
            await Task.Delay(50, deadline.Token);
        }
    }

    [Fact]
    public async Task Issuer_Away_RefusesTokens()
    {
        _issuer.Dispose();

        Assert.NotNull((await AskAsync(_issuer.Token("alpha"))).Refusal);
    }

    [Theory]
    [InlineData("user-1", "oidc:user-1")]
    [InlineData("a b", "oidc:sha256:")]
    [InlineData("new\nline", "oidc:sha256:")]
    public void Subject_AsAKeysId_IsPlain(string subject, string expected) => Assert.StartsWith(expected, TokenSubject.Of(subject), StringComparison.Ordinal);

    /// <summary>Until a good token is taken: on a busy machine the issuer's answer comes too late at first, and then each token is refused for that.</summary>
    private async Task IssuerIsKnownAsync()
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(120));
        while ((await AskAsync(_issuer.Token("alpha"))).Refusal is not null)
        {
            await Task.Delay(50, deadline.Token);
        }
    }

    private Task<(ApiKey? Key, KeyRefusal? Refusal)> AskAsync(string token) => _checked.AuthenticateAsync(token, CancellationToken.None);
}
