using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text.Json;
using Lamina.Client;
using Lamina.TestSupport;
using Microsoft.Extensions.AI;
using OpenAI;
using OpenAI.Chat;
using ChatMessage = OpenAI.Chat.ChatMessage;

namespace Lamina.EndToEnd.Tests.Clients;

/// <summary><c>lamina serve --nodes 3</c> that asks for keys, with a key that is not limited and one that has one request a day.</summary>
public sealed class KeyedModel : IAsyncLifetime
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(120);

    private readonly TemporaryFolder _folder = new();
    private LaminaProcess _serve = null!;

    public Uri Address { get; private set; } = null!;

    public string Key { get; private set; } = "";

    public string LimitedKey { get; private set; } = "";

    public async ValueTask InitializeAsync()
    {
        string file = Path.Combine(_folder.Path, "serve.json");
        await File.WriteAllTextAsync(file, JsonSerializer.Serialize(new
        {
            Serve = new
            {
                Listen = "127.0.0.1:0",
                Nodes = 3,
                RequireKeys = true,
                StorePath = Path.Combine(_folder.Path, "store"),
                Models = new[] { new { Path = Repository.File("models/lamina-tiny-q8_0.gguf") } },
            },
        }));
        _serve = LaminaProcess.Start("serve", "--config", file);
        string line = await _serve.WaitForLineAsync("API at", s_limit);
        Address = new Uri(line[line.IndexOf("http", StringComparison.Ordinal)..line.IndexOf("v1", StringComparison.Ordinal)]);
        Key = await LaminaAsync("key", "create", "local", "--config", file);
        LimitedKey = await LaminaAsync("key", "create", "local", "--config", file);
        await LaminaAsync("quota", "set", "local", """{"requestsPerDay":1}""", "--key", LimitedKey.Substring(4, 12), "--config", file);
        foreach (string key in (string[])[Key, LimitedKey])
        {
            using var client = new LaminaClient(new LaminaClientOptions { Endpoint = Address, ApiKey = key });
            await Eventually.TrueAsync(async () => await IsTakenAsync(client), s_limit, "a key was never taken");
        }

        // Uses up the one request that the limited key has today.
        using var limited = new LaminaClient(new LaminaClientOptions { Endpoint = Address, ApiKey = LimitedKey, MaxRetries = 0 });
        await Eventually.TrueAsync(async () => await IsLimitedAsync(limited), s_limit, "the quota was never taken");
    }

    public ValueTask DisposeAsync()
    {
        _serve.Dispose();
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    private static async Task<bool> IsTakenAsync(LaminaClient client)
    {
        try
        {
            return (await client.ListModelsAsync()).Count > 0;
        }
        catch (LaminaAuthenticationException)
        {
            return false;
        }
    }

    private static async Task<bool> IsLimitedAsync(LaminaClient client)
    {
        try
        {
            await client.CompleteChatAsync(new ChatRequest { Model = ServedModel.ModelName, Messages = [Message.User("What is 2 + 3?")], MaxTokens = 1 });
            return false;
        }
        catch (LaminaRateLimitException)
        {
            return true;
        }
    }

    private static async Task<string> LaminaAsync(params string[] arguments)
    {
        using LaminaProcess process = await LaminaProcess.RunAsync(s_limit, arguments);
        Assert.True(process.ExitCode == 0, process.Error);
        return process.Output.Trim();
    }
}

/// <summary>Refusals as the exceptions of each SDK: 401 without a sound key, 404, 400, 429 over a quota.</summary>
public sealed class RefusalTests(KeyedModel served) : IClassFixture<KeyedModel>
{
    private const string Question = "What is 27 + 15?";

    [Theory]
    [InlineData(401, "invalid_api_key")]
    [InlineData(404, "model_not_found")]
    [InlineData(400, "temperature")]
    [InlineData(429, "rate_limit_exceeded")]
    public async Task OpenAi_EachRefusal_IsAClientResultException(int status, string named)
    {
        ClientResultException refused = await Assert.ThrowsAsync<ClientResultException>(() => Chat(status).CompleteChatAsync([ChatMessage.CreateUserMessage(Question)], Options(status)));
        Assert.Equal(status, refused.Status);
        Assert.Contains(named, refused.GetRawResponse()!.Content.ToString(), StringComparison.Ordinal);
        Assert.Equal(status == 429, refused.GetRawResponse()!.Headers.TryGetValue("Retry-After", out _));
    }

    [Theory]
    [InlineData(401)]
    [InlineData(404)]
    [InlineData(400)]
    [InlineData(429)]
    public async Task ExtensionsAi_EachRefusal_StreamedOrNot_IsAClientResultException(int status)
    {
        using IChatClient client = Chat(status).AsIChatClient();
        var options = new ChatOptions { Temperature = status == 400 ? 9 : 0 };
        Assert.Equal(status, (await Assert.ThrowsAsync<ClientResultException>(() => client.GetResponseAsync(Question, options))).Status);
        Assert.Equal(status, (await Assert.ThrowsAsync<ClientResultException>(() => client.GetStreamingResponseAsync(Question, options).ToChatResponseAsync())).Status);
    }

    [Theory]
    [InlineData(401, typeof(LaminaAuthenticationException))]
    [InlineData(404, typeof(LaminaNotFoundException))]
    [InlineData(400, typeof(LaminaRequestException))]
    [InlineData(429, typeof(LaminaRateLimitException))]
    public async Task LaminaClient_EachRefusal_IsItsException(int status, Type expected)
    {
        using var client = new LaminaClient(new LaminaClientOptions { Endpoint = served.Address, ApiKey = KeyFor(status), MaxRetries = 0 });
        var request = new ChatRequest { Model = ModelFor(status), Messages = [Message.User(Question)], Temperature = status == 400 ? 9 : 0 };
        var refused = (LaminaException)await Assert.ThrowsAsync(expected, () => client.CompleteChatAsync(request));
        Assert.Equal((status, status == 429), (refused.Status, refused.Detail?.RetryAfter > TimeSpan.Zero));
    }

    [Fact]
    public async Task JavaScript_EachRefusal_IsTheSdksOwnError()
    {
        string output = await SampleTests.JavaScriptAsync("errors.mjs", new Dictionary<string, string> { ["LAMINA_URL"] = new Uri(served.Address, "v1").ToString(), ["LAMINA_KEY"] = served.Key, ["LAMINA_LIMITED_KEY"] = served.LimitedKey });
        Assert.Equal(
            [
                "openai 401: AuthenticationError invalid_api_key", "openai 404: NotFoundError model_not_found", "openai 400: BadRequestError invalid_value", "openai 429: RateLimitError rate_limit_exceeded",
                "ai 401: true false", "ai 404: true false", "ai 400: true false", "ai 429: true true",
            ],
            output.TrimEnd().Split('\n'));
    }

    [Fact]
    public async Task OpenAi_SoundKey_IsAnswered() =>
        Assert.Equal("27 + 15 = 42.", ((OpenAI.Chat.ChatCompletion)await Chat(200).CompleteChatAsync([ChatMessage.CreateUserMessage(Question)], Options(200))).Content[0].Text);

    private static string ModelFor(int status) => status == 404 ? "no-such-model" : ServedModel.ModelName;

    private static ChatCompletionOptions Options(int status) => new() { Temperature = status == 400 ? 9 : 0, MaxOutputTokenCount = 64 };

    private string KeyFor(int status) => status switch
    {
        401 => "lam_000000000000_wrong",
        429 => served.LimitedKey,
        _ => served.Key,
    };

    private ChatClient Chat(int status) => new(
        ModelFor(status), new ApiKeyCredential(KeyFor(status)), new OpenAIClientOptions { Endpoint = new Uri(served.Address, "v1"), RetryPolicy = new ClientRetryPolicy(0) });
}
