using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Batches;
using Lamina.Coordinator.Batches.Files;
using Lamina.Coordinator.Tests.Api;
using Lamina.Coordinator.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lamina.Coordinator.Tests.Batches;

/// <summary>Files and batches over HTTP, on a coordinator whose model waits for its nodes.</summary>
public class BatchHttpTests(WaitingCoordinator waiting) : IClassFixture<WaitingCoordinator>
{
    private const string Request = """{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"tiny","messages":[{"role":"user","content":"hi"}]}}""";

    private readonly TestCoordinator _coordinator = waiting.Coordinator;

    private HttpClient Http => _coordinator.Http;

    [Fact]
    public async Task File_UploadedWhicheverPartIsFirst_IsListedReadAndDeleted()
    {
        JsonNode first = await UploadAsync(Form(Part("purpose", "batch"), FilePart(Request)));
        JsonNode second = await UploadAsync(Form(FilePart(Request), Part("purpose", "batch")));
        Assert.Equal(("file", "input.jsonl", "batch", Request.Length), (Text(first, "object"), Text(first, "filename"), Text(first, "purpose"), first["bytes"]!.GetValue<int>()));
        Assert.Equal(Request, await Http.GetStringAsync($"/v1/files/{Text(second, "id")}/content"));
        Assert.Equal(Text(first, "id"), Text(JsonNode.Parse(await Http.GetStringAsync($"/v1/files/{Text(first, "id")}"))!, "id"));

        JsonNode page = JsonNode.Parse(await Http.GetStringAsync("/v1/files?limit=1&purpose=batch"))!;
        Assert.Equal((Text(second, "id"), true), (Text(page["data"]![0]!, "id"), page["has_more"]!.GetValue<bool>()));
        page = JsonNode.Parse(await Http.GetStringAsync($"/v1/files?limit=1&after={Text(second, "id")}"))!;
        Assert.Equal(Text(first, "id"), Text(page["data"]![0]!, "id"));

        foreach (string id in (string[])[Text(first, "id"), Text(second, "id")])
        {
            using HttpResponseMessage deleted = await Http.DeleteAsync($"/v1/files/{id}");
            Assert.True((await deleted.Content.ReadFromJsonAsync<JsonNode>())!["deleted"]!.GetValue<bool>());
            Assert.Equal(HttpStatusCode.NotFound, (await Http.GetAsync($"/v1/files/{id}/content")).StatusCode);
        }
    }

    [Fact]
    public async Task File_ExpiresAfter_IsHonoured()
    {
        JsonNode file = await UploadAsync(Form(Part("purpose", "batch"), Part("expires_after[anchor]", "created_at"), Part("expires_after[seconds]", "3600"), FilePart("x")));
        Assert.Equal(3600, file["expires_at"]!.GetValue<long>() - file["created_at"]!.GetValue<long>());
    }

    [Theory]
    [InlineData("missing_required_parameter", "purpose", "", true)]
    [InlineData("missing_required_parameter", "file", "purpose=batch", false)]
    [InlineData("invalid_value", "purpose", "purpose=fine-tune", true)]
    [InlineData("unknown_parameter", "more", "purpose=batch;more=x", true)]
    [InlineData("invalid_body", null, "purpose=batch;purpose=batch", true)]
    [InlineData("invalid_value", "expires_after", "purpose=batch;expires_after[seconds]=3600", true)]
    [InlineData("invalid_value", "expires_after[seconds]", "purpose=batch;expires_after[anchor]=created_at;expires_after[seconds]=3599", true)]
    public async Task Upload_WrongForm_Is400ThatNamesThePart(string code, string? param, string fields, bool withFile)
    {
        HttpContent[] parts = [.. fields.Split(';', StringSplitOptions.RemoveEmptyEntries).Select(field => Part(field[..field.IndexOf('=')], field[(field.IndexOf('=') + 1)..]))];
        using HttpResponseMessage response = await Http.PostAsync("/v1/files", Form(withFile ? [.. parts, FilePart("x")] : parts));
        JsonNode error = (await response.Content.ReadFromJsonAsync<JsonNode>())!["error"]!;
        Assert.Equal((HttpStatusCode.BadRequest, code, param), (response.StatusCode, Text(error, "code"), error["param"]?.GetValue<string>()));
    }

    [Fact]
    public async Task Upload_NoForm_Is415() => Assert.Equal(HttpStatusCode.UnsupportedMediaType, (await _coordinator.PostAsync("/v1/files", "{}")).StatusCode);

    [Fact]
    public async Task Upload_CutForm_Is400()
    {
        var content = new StringContent("--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbat", Encoding.ASCII);
        content.Headers.ContentType = MediaTypeHeaderValue.Parse("multipart/form-data; boundary=b");
        Assert.Equal(HttpStatusCode.BadRequest, (await Http.PostAsync("/v1/files", content)).StatusCode);
    }

    [Theory]
    [InlineData("""{"endpoint":"/v1/chat/completions","completion_window":"24h"}""", 400, "input_file_id")]
    [InlineData("""{"input_file_id":"file-x","endpoint":"/v1/responses","completion_window":"24h"}""", 400, "endpoint")]
    [InlineData("""{"input_file_id":"file-x","endpoint":"/v1/chat/completions","completion_window":"1h"}""", 400, "completion_window")]
    [InlineData("""{"input_file_id":"../secret","endpoint":"/v1/chat/completions","completion_window":"24h"}""", 404, "file_id")]
    [InlineData("""{"input_file_id":"file-x","endpoint":"/v1/chat/completions","completion_window":"24h","more":1}""", 400, "more")]
    [InlineData("""{"input_file_id":"file-x","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"a":1}}""", 400, "metadata")]
    [InlineData("""{"input_file_id":"file-x","endpoint":"/v1/chat/completions","completion_window":"24h","output_expires_after":{"anchor":"created_at","seconds":1}}""", 400, "output_expires_after.seconds")]
    public async Task CreateBatch_Wrong_IsRefusedByName(string body, int status, string param)
    {
        using HttpResponseMessage response = await _coordinator.PostAsync("/v1/batches", body);
        Assert.Equal((status, param), ((int)response.StatusCode, Text((await response.Content.ReadFromJsonAsync<JsonNode>())!["error"]!, "param")));
    }

    [Theory]
    [InlineData("/v1/batches/batch_000000000000000000000000")]
    [InlineData("/v1/batches/..%2f..%2fx")]
    [InlineData("/v1/files/file-000000000000000000000000")]
    [InlineData("/v1/files/..%2flock/content")]
    public async Task Get_Unknown_Is404(string path) => Assert.Equal(HttpStatusCode.NotFound, (await Http.GetAsync(path)).StatusCode);

    [Fact]
    public async Task Batch_ModelNotReady_WaitsAndIsCancelled()
    {
        JsonNode file = await UploadAsync(Form(FilePart(Request), Part("purpose", "batch")));
        using HttpResponseMessage created = await Http.PostAsJsonAsync("/v1/batches", new { input_file_id = Text(file, "id"), endpoint = "/v1/chat/completions", completion_window = "24h", metadata = new { nightly = "yes" } });
        JsonNode batch = (await created.Content.ReadFromJsonAsync<JsonNode>())!;
        Assert.Equal(("batch", "validating", "yes"), (Text(batch, "object"), Text(batch, "status"), Text(batch["metadata"]!, "nightly")));
        Assert.Equal(86400, batch["expires_at"]!.GetValue<long>() - batch["created_at"]!.GetValue<long>());
        await UntilAsync(batch, "in_progress");
        using HttpResponseMessage cancelled = await Http.PostAsync($"/v1/batches/{Text(batch, "id")}/cancel", null);
        Assert.Equal(HttpStatusCode.OK, cancelled.StatusCode);
        batch = await UntilAsync(batch, "cancelled");
        Assert.Equal("""{"total":1,"completed":0,"failed":0}""", batch["request_counts"]!.ToJsonString());
        Assert.Contains(Text(batch, "id"), await Http.GetStringAsync("/v1/batches?limit=5"), StringComparison.Ordinal);
    }

    private async Task<JsonNode> UntilAsync(JsonNode batch, string status)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(120));
        while (Text(batch, "status") != status)
        {
            await Task.Delay(5, deadline.Token);
            batch = JsonNode.Parse(await Http.GetStringAsync($"/v1/batches/{Text(batch, "id")}", deadline.Token))!;
        }

        return batch;
    }

    private async Task<JsonNode> UploadAsync(HttpContent form)
    {
        using HttpResponseMessage response = await Http.PostAsync("/v1/files", form);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }

    private static string Text(JsonNode json, string name) => json[name]!.GetValue<string>();

    private static MultipartFormDataContent Form(params HttpContent[] parts)
    {
        var form = new MultipartFormDataContent();
        foreach (HttpContent part in parts)
        {
            form.Add(part);
        }

        return form;
    }

    private static StringContent Part(string name, string value)
    {
        var part = new StringContent(value);
        part.Headers.ContentDisposition = new ContentDispositionHeaderValue("form-data") { Name = $"\"{name}\"" };
        return part;
    }

    private static ByteArrayContent FilePart(string content)
    {
        var part = new ByteArrayContent(Encoding.UTF8.GetBytes(content));
        part.Headers.ContentDisposition = new ContentDispositionHeaderValue("form-data") { Name = "\"file\"", FileName = "\"../input.jsonl\"" };
        return part;
    }
}

/// <summary>No tenant finds another's files or batches.</summary>
public class BatchIsolationTests
{
    [Fact]
    public async Task Service_OtherTenant_FindsNeitherFileNorBatch()
    {
        string folder = Directory.CreateTempSubdirectory("lamina-isolation-").FullName;
        await using (var service = new BatchService(
            folder, new BatchOptions(), new Dictionary<string, BeginLine>(), BatchAccess.Open, () => [], TimeProvider.System, NullLogger.Instance))
        {
            TenantBatches mine = service.Of(new Caller(new TenantId("mine"), "a"));
            TenantBatches other = service.Of(new Caller(new TenantId("other"), "a"));
            await using FileUpload upload = mine.Files.BeginUpload();
            StoredFile file = await upload.CompleteAsync("x", null, CancellationToken.None);
            Assert.Same(mine, service.Of(new Caller(new TenantId("mine"), "b")));
            Assert.Equal(404, Assert.Throws<ApiException>(() => other.Files.Require(file.Id)).Error.Status);
            Assert.Equal(404, Assert.Throws<ApiException>(() => other.Create(new BatchRequest(file.Id, "/v1/completions", null, null), new Caller(new TenantId("other"), "a"))).Error.Status);
            Assert.Empty(other.Files.All);
        }

        Directory.Delete(folder, recursive: true);
    }
}
