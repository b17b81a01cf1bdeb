// A model that calls this program's functions, as Semantic Kernel's plugins: methods with descriptions, offered to the model, called with its arguments, their results
// told to it, until it answers in words. Then the same answer as a typed value. Wants a model whose chat template knows tools.
//   LAMINA_URL=http://127.0.0.1:8080 dotnet run
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Lamina.Client;
using Microsoft.Extensions.AI;

const string Question = "What is 27 + 15?";
using var client = new LaminaClient(new LaminaClientOptions
{
    Endpoint = new Uri(Environment.GetEnvironmentVariable("LAMINA_URL") ?? "http://127.0.0.1:8080"),
    ApiKey = Environment.GetEnvironmentVariable("LAMINA_KEY"),
});
string model = Environment.GetEnvironmentVariable("LAMINA_MODEL") ?? (await client.ListModelsAsync())[0].Id;
using IChatClient chat = client.AsChatClient(model).AsBuilder().UseFunctionInvocation(configure: loop => loop.MaximumIterationsPerRequest = 4).Build();

var calculator = new Calculator();
var options = new ChatOptions
{
    Temperature = 0,
    MaxOutputTokens = 128,
    Tools = [AIFunctionFactory.Create(calculator.Add), AIFunctionFactory.Create(calculator.Multiply)],

    // The first turn must be a call; what follows is the model's own choice.
    ToolMode = ChatToolMode.RequireSpecific(nameof(Calculator.Add)),
};
ChatResponse answer = await chat.GetResponseAsync(Question, options);
Console.WriteLine($"answer: {answer.Text}");

// A call whose result has gone back has the same id as its result.
foreach (FunctionResultContent result in answer.Messages.SelectMany(message => message.Contents).OfType<FunctionResultContent>())
{
    FunctionCallContent call = answer.Messages.SelectMany(message => message.Contents).OfType<FunctionCallContent>().Single(call => call.CallId == result.CallId);
    Console.WriteLine($"{call.Name} was told {result.Result}");
}

ChatResponse<Sum> typed = await chat.GetResponseAsync<Sum>(Question, new ChatOptions { Temperature = 0, MaxOutputTokens = 128 });
Console.WriteLine($"typed: {typed.Result.First} and {typed.Result.Second}, even: {typed.Result.IsEven}");

/// <summary>The functions that the model may call.</summary>
internal sealed class Calculator
{
    [Description("Adds two numbers.")]
    public int Add([Range(0, 99), Description("The first number.")] int first, [Range(0, 99), Description("The second number.")] int second)
    {
        Console.WriteLine($"called: {first} + {second}");
        return first + second;
    }

    [Description("Multiplies two numbers.")]
    public int Multiply([Range(0, 99)] int first, [Range(0, 99)] int second)
    {
        Console.WriteLine($"called: {first} * {second}");
        return first * second;
    }
}

/// <summary>An answer as a value; its JSON schema holds the model to it.</summary>
internal sealed record Sum([property: Range(0, 99)] int First, [property: Range(0, 99)] int Second, bool IsEven);
