using System.Net;
using System.Security.Cryptography;
using Lamina.Cli.Chaos;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Lamina.Coordinator.Tests.Support;

/// <summary>An OpenID Connect issuer on loopback: its discovery document, its keys, and tokens signed with them.</summary>
internal sealed class TestIssuer : IDisposable
{
    private readonly HttpListener _listener = new();
    private ECDsaSecurityKey _key = NewKey();

    public TestIssuer()
    {
        Authority = $"http://127.0.0.1:{FreePorts.Take()}";
        _listener.Prefixes.Add(Authority + "/");
        _listener.Start();
        _ = Task.Run(ServeAsync);
    }

    public string Authority { get; }

    public const string Audience = "lamina";

    public ECDsaSecurityKey Key => _key;

    /// <summary>Publishes another key instead.</summary>
    public void Rotate() => _key = NewKey();

    public static ECDsaSecurityKey NewKey() => new(ECDsa.Create(ECCurve.NamedCurves.nistP256)) { KeyId = Guid.NewGuid().ToString("n") };

    public string Token(object? tenant, string? scope = "inference usage", Action<SecurityTokenDescriptor>? change = null)
    {
        var descriptor = new SecurityTokenDescriptor
        {
            Issuer = Authority,
            Audience = Audience,
            Expires = DateTime.UtcNow.AddMinutes(5),
            SigningCredentials = new SigningCredentials(_key, SecurityAlgorithms.EcdsaSha256),
            Claims = new Dictionary<string, object> { ["sub"] = "user-1" },
        };
        if (tenant is not null)
        {
            descriptor.Claims["tenant"] = tenant;
        }

        if (scope is not null)
        {
            descriptor.Claims["scope"] = scope;
        }

        change?.Invoke(descriptor);
        return new JsonWebTokenHandler { SetDefaultTimesOnTokenCreation = false }.CreateToken(descriptor);
    }

    public void Dispose() => _listener.Close();

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                HttpListenerContext context = await _listener.GetContextAsync();
                ECParameters point = _key.ECDsa.ExportParameters(false);
                string body = context.Request.Url!.AbsolutePath == "/keys"
                    ? $$"""{"keys":[{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","kid":"{{_key.KeyId}}","x":"{{Base64UrlEncoder.Encode(point.Q.X!)}}","y":"{{Base64UrlEncoder.Encode(point.Q.Y!)}}"}]}"""
                    : $$"""{"issuer":"{{Authority}}","jwks_uri":"{{Authority}}/keys"}""";
                try
                {
                    context.Response.ContentType = "application/json";
                    await context.Response.OutputStream.WriteAsync(System.Text.Encoding.UTF8.GetBytes(body));
                    context.Response.Close();
                }
                catch (Exception e) when (e is HttpListenerException or ObjectDisposedException or IOException)
                {
                    // Whoever asked waits no longer; the next one is answered.
                }
            }
        }
        catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
        {
            // It was closed.
        }
    }
}
