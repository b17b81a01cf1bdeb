using System.Net;
using System.Net.Http.Headers;
using System.Text.RegularExpressions;

namespace Lamina.EndToEnd.Tests;

/// <summary>An HTTP client with a key of its own, made by <c>lamina key create</c> on a coordinator's store.</summary>
internal static partial class KeyedClient
{
    /// <param name="options">More of <c>lamina key create</c>'s.</param>
    public static async Task<HttpClient> CreateAsync(string store, string api, string tenant, TimeSpan limit, params string[] options)
    {
        LaminaProcess made = await LaminaProcess.RunAsync(limit, ["key", "create", tenant, .. options, "--store", store]);
        Assert.True(made.ExitCode == 0, made.Error);
        HttpClient http = new() { BaseAddress = new Uri(api), Timeout = TimeSpan.FromMinutes(3) };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Key().Match(made.Output).Value);
        await Eventually.TrueAsync(async () => (await http.GetAsync("v1/models")).StatusCode == HttpStatusCode.OK, limit, "the key was never taken");
        return http;
    }

    [GeneratedRegex("lam_[A-Za-z0-9_-]+")]
    private static partial Regex Key();
}
