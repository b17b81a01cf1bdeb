using System.Text.Json.Nodes;
using Lamina.Compute.Templates;

namespace Lamina.Compute.Tests.Templates;

public sealed class ChatPromptTests
{
    private static readonly ChatTokens Tokens = new("<s>", "</s>", AddsBos: true, AddsEos: false);

    [Fact]
    public void Render_ChatMl_WritesTurns()
    {
        ChatPrompt prompt = new(ChatTemplate.Parse(ChatPrompt.ChatMl), null, Tokens);
        Assert.Equal("<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n",
            prompt.Render(new ChatPromptInput(Messages("""[{"role":"system","content":"S"},{"role":"user","content":"U"}]"""))).Text);
    }

    [Theory]
    [InlineData("{% for m in messages %}{% if m.role == 'user' %}[{{ m.content }}]{% endif %}{% endfor %}")]
    [InlineData("{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}[{{ m.content }}]{% endfor %}")]
    public void Render_TemplateWithoutSystem_MergesItIntoTheQuestion(string source)
    {
        ChatPrompt prompt = new(ChatTemplate.Parse(source), null, Tokens);
        Assert.Equal("[S\nU]", prompt.Render(new ChatPromptInput(Messages("""[{"role":"system","content":"S"},{"role":"user","content":"U"}]"""))).Text);
    }

    [Fact]
    public void Render_SystemMergedIntoContentParts_LosesNone()
    {
        ChatPrompt prompt = new(ChatTemplate.Parse("{% for m in messages if m.role == 'user' %}{% for p in m.content %}[{{ p.text }}]{% endfor %}{% endfor %}"), null, Tokens);
        Assert.Equal("[S][U]", prompt.Render(new ChatPromptInput(Messages(
            """[{"role":"system","content":[{"type":"text","text":"S"}]},{"role":"user","content":[{"type":"text","text":"U"}]}]"""))).Text);
    }

    [Fact]
    public void Render_BosThatTheTokenizerAdds_IsLeftOutAndMarksMove()
    {
        ChatPrompt prompt = new(ChatTemplate.Parse("{{ bos_token }}{{ messages[0].content }}<end>"), null, Tokens);
        RenderedPrompt rendered = prompt.Render(new ChatPromptInput(Messages("""[{"role":"user","content":"<s>"}]""")));
        Assert.Equal("<s><end>", rendered.Text);
        Assert.Equal([3..8], rendered.Trusted);
    }

    [Fact]
    public void Render_Tools_UsesTheToolTemplateAndParsedArguments()
    {
        ChatPrompt prompt = new(ChatTemplate.Parse("plain"), ChatTemplate.Parse("{{ tools|length }}{{ messages[1].tool_calls[0].function.arguments.city }}"), Tokens);
        JsonArray messages = Messages("""
            [{"role":"user","content":"U"},{"role":"assistant","tool_calls":[{"function":{"name":"w","arguments":"{\"city\":\"Rome\"}"}}]}]
            """);
        Assert.Equal("1Rome", prompt.Render(new ChatPromptInput(messages, Tools: [new JsonObject()])).Text);
        Assert.Equal("plain", prompt.Render(new ChatPromptInput(messages)).Text);
    }

    [Fact]
    public void Render_TemplateThatJoinsArgumentsAsText_GetsText()
    {
        ChatPrompt prompt = new(ChatTemplate.Parse("{{ 'args: ' + messages[0].tool_calls[0].function.arguments }}"), null, Tokens);
        JsonArray messages = Messages("""[{"role":"assistant","tool_calls":[{"function":{"name":"w","arguments":"{}"}}]}]""");
        Assert.Equal("args: {}", prompt.Render(new ChatPromptInput(messages)).Text);
    }

    private static JsonArray Messages(string json) => JsonNode.Parse(json)!.AsArray();
}
