using System.Text;
using CsCheck;
using Lamina.Compute.Grammar;
using Lamina.Compute.Sampling;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Requests;

namespace Lamina.Coordinator.Tests.Api;

public class RequestValidationTests
{
    private const string Messages = """[{"role":"user","content":"hi"}]""";

    /// <summary>Every numeric field with the bounds it allows; the table of SECURITY rule C7.</summary>
    public static TheoryData<string, double, double, bool> NumberFields => new()
    {
        { "temperature", 0, 2, false },
        { "top_p", 0, 1, false },
        { "min_p", 0, 1, false },
        { "repetition_penalty", 0.1, 10, false },
        { "presence_penalty", -2, 2, false },
        { "frequency_penalty", -2, 2, false },
        { "dynatemp_range", 0, 2, false },
        { "dynatemp_exponent", 0, 10, false },
        { "typical_p", 0, 1, false },
        { "top_n_sigma", 0, 100, false },
        { "xtc_probability", 0, 1, false },
        { "xtc_threshold", 0, 1, false },
        { "dry_multiplier", 0, 10, false },
        { "dry_base", 1, 10, false },
        { "dry_allowed_length", 1, 1 << 20, true },
        { "dry_penalty_last_n", -1, 1 << 20, true },
        { "repeat_last_n", -1, 1 << 20, true },
        { "min_tokens", 0, 1 << 20, true },
        { "top_k", 0, 1 << 20, true },
        { "n", 1, 8, true },
        { "max_tokens", 1, 1 << 20, true },
        { "max_completion_tokens", 1, 1 << 20, true },
        { "seed", long.MinValue, long.MaxValue, true },
        { "top_logprobs", 0, 20, true },
    };

    [Trait("Attack", "C7")]
    [Theory]
    [MemberData(nameof(NumberFields))]
    public void Number_OfAnyValue_IsTakenOrRefusedByName(string field, double min, double max, bool integer)
    {
        string step = integer ? "1" : "0.5";
        string[] inside = field == "seed" ? ["0", "-9223372036854775808", "9223372036854775807"] : [Text(min), Text(max)];
        string[] outside = field == "seed"
            ? ["9223372036854775808", "-9223372036854775809", "1e309"]
            : [Text(min - double.Parse(step, System.Globalization.CultureInfo.InvariantCulture)), Text(max + 1), "2147483648", "9223372036854775808", "-9223372036854775809", "1e309", "-1e309"];
        foreach (string value in inside)
        {
            Assert.Null(Refusal($$"""{"model":"m","messages":{{Messages}},"logprobs":true,"{{field}}":{{value}}}"""));
        }

        foreach (string value in outside)
        {
            ApiError? error = Refusal($$"""{"model":"m","messages":{{Messages}},"logprobs":true,"{{field}}":{{value}}}""");
            Assert.True(error is { Status: 400, Code: "invalid_value" } && error.Param == field, $"{field} = {value}: {error}");
        }

        foreach (string value in new[] { "\"\"", "\"1\"", "[]", "[1]", "{}", "{\"a\":[{}]}", "true" })
        {
            ApiError? error = Refusal($$"""{"model":"m","messages":{{Messages}},"logprobs":true,"{{field}}":{{value}}}""");
            Assert.True(error is { Status: 400, Code: "invalid_type" } && error.Param == field, $"{field} = {value}: {error}");
        }

        if (integer)
        {
            Assert.Equal(field, Refusal($$"""{"model":"m","messages":{{Messages}},"logprobs":true,"{{field}}":1.5}""")!.Param);
        }

        Assert.Null(Refusal($$"""{"model":"m","messages":{{Messages}},"logprobs":true,"{{field}}":null}"""));
    }

    [Trait("Attack", "C7")]
    [Theory]
    [InlineData("""{"messages":[{"role":"user","content":"hi"}]}""", "model", "missing_required_parameter")]
    [InlineData("""{"model":5,"messages":[]}""", "model", "invalid_type")]
    [InlineData("""{"model":"m"}""", "messages", "missing_required_parameter")]
    [InlineData("""{"model":"m","messages":[]}""", "messages", "invalid_value")]
    [InlineData("""{"model":"m","messages":"hi"}""", "messages", "invalid_type")]
    [InlineData("""{"model":"m","messages":["hi"]}""", "messages[0]", "invalid_type")]
    [InlineData("""{"model":"m","messages":[{"content":"hi"}]}""", "messages[0].role", "missing_required_parameter")]
    [InlineData("""{"model":"m","messages":[{"role":"wizard","content":"hi"}]}""", "messages[0].role", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user"}]}""", "messages[0].content", "missing_required_parameter")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":null}]}""", "messages[0].content", "missing_required_parameter")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":7}]}""", "messages[0].content", "invalid_type")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":[]}]}""", "messages[0].content", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]}""", "messages[0].content[0].type", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a","x":1}]}]}""", "messages[0].content[0].x", "unknown_parameter")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi","tool_calls":[]}]}""", "messages[0].tool_calls", "unknown_parameter")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"\ud800"}]}""", "messages[0].content", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[]}""", "tools", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"code"}]}""", "tools[0].type", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function"}]}""", "tools[0].function", "missing_required_parameter")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"a b"}}]}""", "tools[0].function.name", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":[]}}]}""", "tools[0].function.parameters", "invalid_type")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":"wizard"}}}]}""", "tools", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"f"}}]}""", "tools", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"always"}""", "tool_choice", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"g"}}}""", "tool_choice.function.name", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"wizard"}}}],"tool_choice":"required"}""", "tools", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f"}}],"regex":"a"}""", "tools", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"tool_choice":"auto"}""", "tool_choice", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"parallel_tool_calls":true}""", "parallel_tool_calls", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"tool","content":"hi"}]}""", "messages[0].tool_call_id", "missing_required_parameter")]
    [InlineData("""{"model":"m","messages":[{"role":"assistant","tool_calls":[]}]}""", "messages[0].tool_calls", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f"}}]}]}""", "messages[0].tool_calls[0].function.arguments", "missing_required_parameter")]
    [InlineData("""{"model":"m","messages":[{"role":"assistant","content":"a","refusal":"no"}]}""", "messages[0].refusal", "unsupported_parameter")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"chat_template_kwargs":[]}""", "chat_template_kwargs", "invalid_type")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"response_format":{"type":"xml"}}""", "response_format.type", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_schema"}}""", "response_format.json_schema", "missing_required_parameter")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_schema","json_schema":{"name":"a b"}}}""", "response_format.json_schema.name", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"type":"wizard"}}}}""", "response_format", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_object"},"regex":"a"}""", "regex", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"grammar":"root ::= absent"}""", "grammar", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"regex":"(a"}""", "regex", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"choices":["a",""]}""", "choices[1]", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"choices":[]}""", "choices", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"regex":"a","min_tokens":1}""", "min_tokens", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":1,"min_tokens":2}""", "min_tokens", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"samplers":["top_k","topp"]}""", "samplers[1]", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"samplers":["top_k","top_k"]}""", "samplers", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"dry_sequence_breakers":"x"}""", "dry_sequence_breakers", "invalid_type")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"mirostat":3}""", "mirostat", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"store":true}""", "store", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"service_tier":"flex"}""", "service_tier", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"verbosity":"high"}""", "verbosity", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"modalities":["text","audio"]}""", "modalities", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"reasoning_effort":"huge"}""", "reasoning_effort", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"metadata":{"a":1}}""", "metadata.a", "invalid_type")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_obfuscation":true}}""", "stream_options.include_obfuscation", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"repeat_penalty":1.1,"repetition_penalty":1.2}""", "repeat_penalty", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"chat_template":"x"}""", "chat_template", "unsupported_parameter")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"temprature":1}""", "temprature", "unknown_parameter")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"stop":["a","b","c","d","e"]}""", "stop", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"stop":["a",""]}""", "stop[1]", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"stop":5}""", "stop", "invalid_type")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":"yes"}""", "stream", "invalid_type")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"stream_options":{"include_usage":true}}""", "stream_options", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"x":1}}""", "stream_options.x", "unknown_parameter")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"top_logprobs":2}""", "top_logprobs", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"logprobs":2}""", "logprobs", "invalid_type")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":1,"max_completion_tokens":2}""", "max_tokens", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"logit_bias":{"x":1}}""", "logit_bias", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"logit_bias":{"5":101}}""", "logit_bias.5", "invalid_value")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"hi"}],"user":"a\u0007b"}""", "user", "invalid_value")]
    public void Chat_BadField_IsRefusedByName(string body, string param, string code)
    {
        ApiError? error = Refusal(body);

        Assert.Equal((400, param, code), (error!.Status, error.Param, error.Code));
    }

    [Theory]
    [InlineData("")]
    [InlineData("not json")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("""{"model":"m","model":"m"}""")]
    [InlineData("""{"model":"m","mod\u0065l":"m"}""")]
    [InlineData("""{"model":"m",}""")]
    [InlineData("""{"model":"m"} {}""")]
    [InlineData("""{"\ud800":1}""")]
    public void Chat_BadJson_IsRefused(string body) => Assert.Equal((400, "invalid_body"), (Refusal(body)!.Status, Refusal(body)!.Code));

    [Fact]
    public void Chat_InvalidUtf8_IsRefused()
    {
        byte[] body = [.. Encoding.UTF8.GetBytes("""{"model":"m","messages":[{"role":"user","content":"a"""), 0xC3, 0x28, .. "\"}]}"u8];

        ApiException refused = Assert.Throws<ApiException>(() => ChatCompletionRequest.Parse(body));

        Assert.Equal("the request body is not valid UTF-8", refused.Error.Message);
    }

    [Trait("Attack", "C7")]
    [Fact]
    public void Chat_DeepJson_IsRefused() =>
        Assert.Equal("invalid_body", Refusal($$"""{"model":"m","messages":{{new string('[', 100_000)}}{{new string(']', 100_000)}}}""")!.Code);

    [Trait("Attack", "C7")]
    [Fact]
    public void Chat_TooManyMessages_AreRefused() =>
        Assert.Equal("messages", Refusal($$"""{"model":"m","messages":[{{string.Join(',', Enumerable.Repeat("""{"role":"user","content":"a"}""", 1025))}}]}""")!.Param);

    [Fact]
    public void Chat_AllFields_AreRead()
    {
        ChatCompletionRequest request = ChatCompletionRequest.Parse(Encoding.UTF8.GetBytes("""
            {"model":"m","messages":[{"role":"developer","content":"be brief"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"name":"kim"},{"role":"assistant","content":""}],
             "stream":true,"stream_options":{"include_usage":true},"stop":"x","max_completion_tokens":9,"temperature":0.5,"top_p":0.25,"top_k":7,"min_p":0.125,
             "repetition_penalty":1.5,"presence_penalty":-1,"frequency_penalty":2,"logit_bias":{"5":-100},"seed":-1,"logprobs":true,"top_logprobs":3,"n":2,"user":"u"}
            """));

        Assert.Equal([new ChatMessage("system", "be brief", null), new ChatMessage("user", "a\nb", "kim"), new ChatMessage("assistant", "", null)], request.Conversation.Messages);
        GenerationOptions options = request.Options;
        Assert.Equal(("m", true, true, 9, 2, -1L, true, 3, "u"), (options.Model, options.Stream, options.IncludeUsage, options.MaxTokens, options.Choices, options.Seed, options.LogProbs, options.TopLogProbs, options.User));
        SamplingParameters sampling = options.Sampling;
        Assert.Equal((0.5f, 0.25f, 7, 0.125f, 1.5f, -1f, 2f), (sampling.Temperature, sampling.TopP, sampling.TopK, sampling.MinP, sampling.RepetitionPenalty, sampling.PresencePenalty, sampling.FrequencyPenalty));
        Assert.Equal(["x"], options.Stop);
        Assert.Equal(-100f, sampling.LogitBias[5]);
    }

    /// <summary>Each extension reaches the sampler's own parameter.</summary>
    [Theory]
    [InlineData("\"typical_p\":0.5", "TypicalP", 0.5)]
    [InlineData("\"repeat_penalty\":1.5", "RepetitionPenalty", 1.5)]
    [InlineData("\"mirostat\":2", "Mirostat", 2)]
    [InlineData("\"mirostat_tau\":3", "MirostatTau", 3)]
    [InlineData("\"mirostat_eta\":0.5", "MirostatEta", 0.5)]
    [InlineData("\"top_n_sigma\":1.5", "TopNSigma", 1.5)]
    [InlineData("\"xtc_probability\":0.5", "XtcProbability", 0.5)]
    [InlineData("\"xtc_threshold\":0.25", "XtcThreshold", 0.25)]
    [InlineData("\"dynatemp_range\":0.5", "DynamicTemperatureRange", 0.5)]
    [InlineData("\"dynatemp_exponent\":2", "DynamicTemperatureExponent", 2)]
    [InlineData("\"dry_multiplier\":0.5", "DryMultiplier", 0.5)]
    [InlineData("\"dry_base\":2", "DryBase", 2)]
    [InlineData("\"dry_allowed_length\":3", "DryAllowedLength", 3)]
    [InlineData("\"dry_penalty_last_n\":9", "DryWindow", 9)]
    [InlineData("\"repeat_last_n\":-1", "PenaltyWindow", -1)]
    public void Chat_SamplerExtension_ReachesTheSampler(string field, string property, double expected)
    {
        ChatCompletionRequest request = ChatCompletionRequest.Parse(Encoding.UTF8.GetBytes($$"""{"model":"m","messages":{{Messages}},{{field}}}"""));

        object? value = typeof(SamplingParameters).GetProperty(property)!.GetValue(request.Options.Sampling);
        Assert.Equal(expected, Convert.ToDouble(value, System.Globalization.CultureInfo.InvariantCulture));
        Assert.Empty(request.Options.Sampling.Validate());
    }

    [Fact]
    public void Chat_Samplers_SetTheOrder()
    {
        ChatCompletionRequest request = ChatCompletionRequest.Parse(Encoding.UTF8.GetBytes($$"""{"model":"m","messages":{{Messages}},"samplers":["temperature","typ_p"],"dry_sequence_breakers":["|"]}"""));

        Assert.Equal([SamplingStep.Temperature, SamplingStep.Typical], request.Options.Sampling.Order);
        Assert.Equal(["|"], request.Options.Sampling.DryBreakers);
    }

    [Theory]
    [InlineData("\"response_format\":{\"type\":\"text\"}", null)]
    [InlineData("\"response_format\":{\"type\":\"json_object\"}", GrammarKind.JsonObject)]
    [InlineData("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\",\"strict\":true,\"schema\":{\"type\":\"integer\"}}}", GrammarKind.JsonSchema)]
    [InlineData("\"json_schema\":{\"type\":\"integer\"}", GrammarKind.JsonSchema)]
    [InlineData("\"grammar\":\"root ::= [0-9]+\"", GrammarKind.Gbnf)]
    [InlineData("\"regex\":\"[0-9]+\"", GrammarKind.Regex)]
    [InlineData("\"choices\":[\"yes\",\"no\"]", GrammarKind.Choices)]
    public void Chat_Grammar_IsCarried(string field, GrammarKind? kind) =>
        Assert.Equal(kind, ChatCompletionRequest.Parse(Encoding.UTF8.GetBytes($$"""{"model":"m","messages":{{Messages}},{{field}}}""")).Options.Sampling.Grammar?.Kind);

    [Theory]
    [InlineData("\"text\"", 1)]
    [InlineData("[\"a\",\"b\"]", 2)]
    [InlineData("[1,2,3]", 1)]
    [InlineData("[[1,2],[3]]", 2)]
    public void Completion_PromptForms_AreRead(string prompt, int count) =>
        Assert.Equal(count, CompletionRequest.Parse(Encoding.UTF8.GetBytes($$"""{"model":"m","prompt":{{prompt}}}""")).Prompts.Count);

    [Theory]
    [InlineData("5", "prompt")]
    [InlineData("[]", "prompt")]
    [InlineData("[1,\"a\"]", "prompt[1]")]
    [InlineData("[1,-1]", "prompt[1]")]
    [InlineData("[1,1.5]", "prompt[1]")]
    [InlineData("[[1],[]]", "prompt[1]")]
    [InlineData("[\"a\",{}]", "prompt[1]")]
    [InlineData("[null]", "prompt[0]")]
    public void Completion_BadPrompt_IsRefusedByName(string prompt, string param)
    {
        ApiException refused = Assert.Throws<ApiException>(() => CompletionRequest.Parse(Encoding.UTF8.GetBytes($$"""{"model":"m","prompt":{{prompt}}}""")));

        Assert.Equal((400, param), (refused.Error.Status, refused.Error.Param));
    }

    [Theory]
    [InlineData("\"echo\":true", "echo")]
    [InlineData("\"best_of\":2", "best_of")]
    [InlineData("\"suffix\":\"x\"", "suffix")]
    [InlineData("\"logprobs\":21", "logprobs")]
    [InlineData("\"logprobs\":true", "logprobs")]
    [InlineData("\"messages\":[]", "messages")]
    public void Completion_BadField_IsRefusedByName(string field, string param)
    {
        ApiException refused = Assert.Throws<ApiException>(() => CompletionRequest.Parse(Encoding.UTF8.GetBytes($$"""{"model":"m","prompt":"a",{{field}}}""")));

        Assert.Equal(param, refused.Error.Param);
    }

    [Fact]
    public void Completion_PromptsTimesN_IsBounded()
    {
        string prompts = string.Join(',', Enumerable.Repeat("\"a\"", 17));

        ApiException refused = Assert.Throws<ApiException>(() => CompletionRequest.Parse(Encoding.UTF8.GetBytes($$"""{"model":"m","prompt":[{{prompts}}],"n":2}""")));

        Assert.Equal("n", refused.Error.Param);
    }

    /// <summary>Whatever bytes come, the parser answers with a request or with a refusal.</summary>
    [Trait("Attack", "C7")]
    [Fact]
    public void Bodies_MutatedAtRandom_AreParsedOrRefused()
    {
        byte[] chat = Encoding.UTF8.GetBytes("""
            {"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a\u00e9"}]}],"stop":["x"],"logit_bias":{"5":1},"stream":true,"stream_options":{"include_usage":true},"n":2}
            """);
        byte[] completion = Encoding.UTF8.GetBytes("""{"model":"m","prompt":[[1,2],[3]],"logprobs":2,"temperature":0.5}""");
        Gen.Select(Gen.Bool, Gen.Select(Gen.Int[0, 250], Gen.Byte).Array[1, 4], Gen.Int[0, 250]).Sample((isChat, changes, cut) =>
        {
            byte[] body = [.. isChat ? chat : completion];
            foreach ((int at, byte value) in changes)
            {
                body[at % body.Length] = value;
            }

            body = body[..Math.Min(body.Length, cut % 3 == 0 ? cut : body.Length)];
            try
            {
                _ = isChat ? ChatCompletionRequest.Parse(body) as object : CompletionRequest.Parse(body);
            }
            catch (ApiException e)
            {
                return e.Error.Status == 400;
            }

            return true;
        }, iter: 20_000);
    }

    private static ApiError? Refusal(string body)
    {
        try
        {
            _ = ChatCompletionRequest.Parse(Encoding.UTF8.GetBytes(body));
            return null;
        }
        catch (ApiException e)
        {
            return e.Error;
        }
    }

    private static string Text(double value) => value.ToString(System.Globalization.CultureInfo.InvariantCulture);
}
