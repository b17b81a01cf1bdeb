using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Coordinator.Tests.Models;
using Lamina.Coordinator.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Api;

/// <summary>Names in addresses and bodies that would be paths: each is refused, and no file that they could mean is opened.</summary>
public sealed class TraversalTests(WaitingCoordinator waiting) : IClassFixture<WaitingCoordinator>
{
    private static readonly string[] s_routes = ["GET /v1/models/NAME", "GET /v1/files/NAME", "GET /v1/files/NAME/content", "DELETE /v1/files/NAME", "GET /v1/batches/NAME", "POST /v1/batches/NAME/cancel", "GET /v1/responses/NAME"];

    private readonly TestCoordinator _coordinator = waiting.Coordinator;

    /// <summary>The names of the store's own tests, and digests that are none. An empty name and a dot are the list's own address.</summary>
    private static IEnumerable<string> Names => CatalogueTests.Traversals.Select(row => (string)row.Data).Where(name => name is not ("" or "."))
        .Concat(["sha256:" + new string('a', 63), "sha256:" + new string('a', 65), "sha256-" + new string('a', 63), "sha256-" + new string('a', 65), "file-" + new string('a', 23), "file-" + new string('a', 25), "file-" + new string('A', 24), "batch_" + new string('a', 23)]);

    [Trait("Attack", "D1")]
    [Fact]
    public async Task Name_ThatCouldBeAPath_IsRefusedOnEveryRouteAndOpensNothing()
    {
        // Where a name that is pasted behind one of the store's folders would lead, with the endings that the store gives its files.
        string store = Path.Combine(_coordinator.Folder, "store"), batches = Path.Combine(store, TestCoordinator.Tenant.Value, "batches");
        Assert.Equal(HttpStatusCode.OK, (await _coordinator.Http.GetAsync("/v1/files")).StatusCode);
        string[] decoys =
        [
            .. from folder in (string[])[batches, Path.GetDirectoryName(batches)!, store, _coordinator.Folder] from ending in (string[])["", ".json", ".jsonl"] select Path.Combine(folder, "x" + ending),
        ];
        Array.ForEach(decoys, decoy => File.WriteAllText(decoy, "{}"));
        using OpenWatch watch = new(decoys);
        foreach (string name in Names.Append(decoys[0]).Append(Path.ChangeExtension(decoys[0], ".json")))
        {
            foreach (string route in s_routes)
            {
                // As a client would write it, and as it stands where a request line can hold it; one that goes up from where it went down means the list.
                await RefusedAsync(route, Uri.EscapeDataString(name));
                if (name.All(c => c is > ' ' and < '\u007F') && !name.EndsWith("/..", StringComparison.Ordinal))
                {
                    await RefusedAsync(route, name);
                }
            }

            await RefusedInBodyAsync("/v1/chat/completions", new { model = name, messages = new[] { new { role = "user", content = "hi" } } });
            await RefusedInBodyAsync("/v1/batches", new { input_file_id = name, endpoint = "/v1/chat/completions", completion_window = "24h" });
        }

        Assert.Empty(watch.Take());
        Array.ForEach(decoys, decoy => Assert.Equal("{}", File.ReadAllText(decoy)));
        Assert.NotEmpty(watch.Take());
    }

    /// <summary>A file of a caller whose content somebody replaced: neither what the link leads to nor where it lies comes back.</summary>
    [Trait("Attack", "D1")]
    [Theory]
    [InlineData(Planted.LinkToFile)]
    [InlineData(Planted.LinkToPipe)]
    [InlineData(Planted.LinkToNothing)]
    [InlineData(Planted.Pipe)]
    public async Task Content_ReplacedByALink_IsNotRead(Planted what)
    {
        using var form = new MultipartFormDataContent { { new StringContent("batch"), "\"purpose\"" }, { new StringContent("lines"), "\"file\"", "\"a.jsonl\"" } };
        using HttpResponseMessage uploaded = await _coordinator.Http.PostAsync("/v1/files", form);
        string id = JsonNode.Parse(await uploaded.Content.ReadAsStringAsync())!["id"]!.GetValue<string>();
        string folder = Path.Combine(_coordinator.Folder, $"outside-{what}");
        using OutsideFolder outside = new(folder);
        outside.Plant(what, Path.Combine(_coordinator.Folder, "store", TestCoordinator.Tenant.Value, "batches", "files", id + ".jsonl"));
        outside.Watch();

        using HttpResponseMessage response = await _coordinator.Http.GetAsync($"/v1/files/{id}/content");
        string text = await response.Content.ReadAsStringAsync();

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.DoesNotContain("lines", text, StringComparison.Ordinal);
        Assert.DoesNotContain(_coordinator.Folder, text, StringComparison.Ordinal);
        using HttpResponseMessage deleted = await _coordinator.Http.DeleteAsync($"/v1/files/{id}");
        Assert.Equal(HttpStatusCode.OK, deleted.StatusCode);
        Assert.Empty(outside.Touched());
    }

    private async Task RefusedAsync(string route, string name)
    {
        string line = route.Replace("NAME", name, StringComparison.Ordinal);
        string answer = await RawHttp.SendAsync(_coordinator.Host.HttpAddress, $"{line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        Assert.True(answer.StartsWith("HTTP/1.1 400 ", StringComparison.Ordinal) || answer.StartsWith("HTTP/1.1 404 ", StringComparison.Ordinal), $"{line}: {answer}");
    }

    private async Task RefusedInBodyAsync(string route, object body)
    {
        string json = JsonSerializer.Serialize(body);
        using HttpResponseMessage response = await _coordinator.PostAsync(route, json);
        Assert.True(response.StatusCode is HttpStatusCode.BadRequest or HttpStatusCode.NotFound, $"{route} {json}: {response.StatusCode}");
    }
}
