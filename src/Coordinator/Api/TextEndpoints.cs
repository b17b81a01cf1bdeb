using System.Text;
using System.Text.Json;
using Lamina.Compute.Templates;
using Lamina.Compute.Tokenization;
using Lamina.Coordinator.Api.Requests;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Models;
using Lamina.Coordinator.Quotas;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Api;

/// <summary>What a model makes of texts before it computes: <c>POST /tokenize</c>, <c>/detokenize</c> and <c>/apply-template</c>, in llama.cpp's shapes.</summary>
internal sealed class TextEndpoints(ModelLookup models, Metering metering, TimeProvider time)
{
    public const string TokenizeRoute = "/tokenize";
    public const string DetokenizeRoute = "/detokenize";
    public const string ApplyTemplateRoute = "/apply-template";

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost(TokenizeRoute, context => AnswerAsync(context, Tokenize)).Counted();
        routes.MapPost(DetokenizeRoute, context => AnswerAsync(context, Detokenize)).Counted();
        routes.MapPost(ApplyTemplateRoute, context => AnswerAsync(context, ApplyTemplate)).Counted();
    }

    private async Task AnswerAsync(HttpContext context, Func<Caller, JsonFields, Action<Utf8JsonWriter>> answer)
    {
        Caller caller = Caller.Of(context);
        byte[] whole;
        using (RequestBody body = await metering.ReadAsync(context))
        using (await metering.EnterAsync(caller, context.RequestAborted))
        {
            using JsonDocument document = JsonFields.Parse(body.Bytes);
            Action<Utf8JsonWriter> write = answer(caller, JsonFields.Of(document.RootElement));
            whole = JsonBody.Of(json =>
            {
                json.WriteStartObject();
                write(json);
                json.WriteEndObject();
            });
        }

        await JsonBody.WriteAsync(context, whole);
    }

    private Action<Utf8JsonWriter> Tokenize(Caller caller, JsonFields fields)
    {
        string name = TakeModel(fields);
        string content = JsonFields.Text(fields.TakeRequired("content"), "content", ApiLimits.MaxBodyBytes);
        bool addSpecial = fields.TakeBool("add_special") ?? false;
        bool parseSpecial = fields.TakeBool("parse_special") ?? false;
        bool withPieces = fields.TakeBool("with_pieces") ?? false;
        fields.RefuseOthers();

        Tokenizer tokenizer = Require(caller, name).Tokenizer;
        int[] text = tokenizer.Encode(content, parseSpecial ? [Range.All] : null);
        int[] tokens =
        [
            .. addSpecial && tokenizer is { AddBos: true, Bos: int bos } ? [bos] : Array.Empty<int>(),
            .. text,
            .. addSpecial && tokenizer is { AddEos: true, Eos: int eos } ? [eos] : Array.Empty<int>(),
        ];
        return json =>
        {
            json.WriteStartArray("tokens");
            foreach (int token in tokens)
            {
                if (withPieces)
                {
                    WritePiece(json, token, tokenizer);
                }
                else
                {
                    json.WriteNumberValue(token);
                }
            }

            json.WriteEndArray();
        };
    }

    private Action<Utf8JsonWriter> Detokenize(Caller caller, JsonFields fields)
    {
        string name = TakeModel(fields);
        JsonElement list = fields.TakeRequired("tokens");
        if (list.ValueKind != JsonValueKind.Array)
        {
            throw ApiError.InvalidType("tokens", "an array of token ids", JsonFields.Kind(list)).AsException();
        }

        fields.RefuseOthers();
        Tokenizer tokenizer = Require(caller, name).Tokenizer;
        int[] tokens = [.. list.EnumerateArray().Select((token, i) => (int)JsonFields.Integer(token, $"tokens[{i}]", 0, tokenizer.VocabularySize - 1))];
        string content = tokenizer.Decode(tokens, special: true);
        return json => json.WriteString("content", content);
    }

    private Action<Utf8JsonWriter> ApplyTemplate(Caller caller, JsonFields fields)
    {
        string name = TakeModel(fields);
        ChatConversation conversation = ChatConversation.Read(fields);
        fields.RefuseOthers();
        RenderedPrompt prompt = PromptEncoder.Render(Require(caller, name), conversation, time.GetUtcNow().UtcDateTime);
        return json => json.WriteString("prompt", prompt.Text);
    }

    private ServedModel Require(Caller caller, string name)
    {
        ServedModel model = models.Require(caller, name).Model;
        metering.RequireAllowed(caller, model.Name, model.Stored.Digest.ToString());
        return model;
    }

    private static string TakeModel(JsonFields fields) => JsonFields.Text(fields.TakeRequired("model"), "model", ApiLimits.MaxModelNameLength);

    /// <summary>The piece as text, or as bytes where it is a part of a character.</summary>
    private static void WritePiece(Utf8JsonWriter json, int token, Tokenizer tokenizer)
    {
        ReadOnlySpan<byte> bytes = tokenizer.Bytes(token, special: true);
        json.WriteStartObject();
        json.WriteNumber("id", token);
        if (System.Text.Unicode.Utf8.IsValid(bytes))
        {
            json.WriteString("piece", Encoding.UTF8.GetString(bytes));
        }
        else
        {
            json.WriteStartArray("piece");
            foreach (byte value in bytes)
            {
                json.WriteNumberValue(value);
            }

            json.WriteEndArray();
        }

        json.WriteEndObject();
    }
}
